"""Files in, a table of verdicts out: by the service's pipeline in this process, or by a service that runs."""
