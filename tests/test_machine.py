from pathlib import Path

from rmbg_service.machine import cpu_count, memory_limit_bytes, resident_bytes


def test_a_container_s_limits_are_seen(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("512000000\n")
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert memory_limit_bytes(tmp_path) == 512_000_000
    assert cpu_count(tmp_path) == 1


def test_without_a_container_the_machine_is_the_limit(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert (memory_limit_bytes(tmp_path) or 0) > 512_000_000
    assert cpu_count(tmp_path) >= 1
    assert resident_bytes() > 10_000_000
