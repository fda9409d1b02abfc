"""`python -m rmbg_service` is the command line."""

from rmbg_service.cli import main

main()
