"""The life of one job: admission, the queue, the worker, metrics and logs."""
