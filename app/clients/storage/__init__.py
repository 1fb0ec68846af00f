"""Files and logs in an S3 bucket, the URLs that open them, and the bucket as a whole (contract 8)."""
