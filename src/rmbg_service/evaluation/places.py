"""Which folder the results of each candidate are in."""

from collections.abc import Sequence
from pathlib import Path

from rmbg_service.evaluation.candidates import Candidate
from rmbg_service.evaluation.dataset import Sample
from rmbg_service.evaluation.records import read_records
from rmbg_service.evaluation.run import MATTES, TABLE, is_current


def places(candidates: Sequence[Candidate], dataset: Sequence[Sample], out: Path) -> list[Path]:
    """The folder of each candidate: `out` of one alone, else one of its name in `out`.

    What was judged alone moves to the folder of its name when others come, and stays there.
    """
    own = [out / candidate.name for candidate in candidates]
    if len(candidates) == 1:
        return own if (own[0] / TABLE).is_file() else [out]
    records = {record.id: record for record in read_records(out / TABLE)}
    for candidate, folder in zip(candidates, own, strict=True):
        if not folder.exists() and any(
            sample.id in records and is_current(records[sample.id], candidate, sample)
            for sample in dataset
        ):
            folder.mkdir()
            for name in (MATTES, TABLE):
                if (out / name).exists():
                    (out / name).rename(folder / name)
            break
    return own
