"""The life of a job: admission, queue, worker, metrics, logs."""
