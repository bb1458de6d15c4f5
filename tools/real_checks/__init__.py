"""The checks of `tools.real_account`, by service."""
