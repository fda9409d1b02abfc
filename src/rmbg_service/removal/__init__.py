"""One image in, one cutout out, without a queue or HTTP."""
