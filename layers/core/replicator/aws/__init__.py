"""The only rooms that know boto3 or HTTP."""
