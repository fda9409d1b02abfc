"""`rmbg-service remove` with a predictor that waits for one line on stdin for each prediction."""

from unittest.mock import patch

from rmbg_service.batch import batch
from rmbg_service.cli import main
from tests.cli.gated_server import gated

with patch.object(batch, "select_predictor", gated):
    main()
