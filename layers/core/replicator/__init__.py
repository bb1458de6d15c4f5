"""Replicates Amazon SageMaker model packages from spoke accounts into a hub account."""

RELEASE = "0.1.0"
