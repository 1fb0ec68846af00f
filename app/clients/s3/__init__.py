"""The object store, on any server that speaks S3."""
