import re

import pytest

from rmbg_service.errors import DeviceFailure
from rmbg_service.models.predictor import PatchOrderChoice
from rmbg_service.models.with_matting import PredictorWithMatting
from tests.fakes import PATH, FakeMatting, FakePredictor, picture_bytes, serving


async def test_health_and_info_say_what_runs_here() -> None:
    async with serving(max_image_pixels=12345) as (client, _):
        health = (await client.get("/health")).json()
        assert health["status"] == "ready"
        assert health["model"] == {
            "name": "fake", "device": "cpu", "licence": "unknown", "input_size": [32, 544],
            "dtype": None, "dtype_reason": None, "patch_order": None, "matting": None,
        }  # fmt: skip
        assert health["queue"]["jobs"] == 0
        info = (await client.get("/api/info")).json()
        assert info["limits"]["max_image_pixels"] == 12345
        assert info["api_key_required"] is False
        assert info["options"]["preset"] == [preset["name"] for preset in info["presets"]]
        assert info["presets"][0]["canvas"] == "2000x2000"
        assert info["version"] == health["version"]
        assert "matting" not in info["options"]["detail"]


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/health", "/metrics", "/api/info"])
async def test_head_is_answered_as_get_is(path: str) -> None:
    async with serving(api_keys="one", open_endpoints="none") as (client, _):
        for headers in ({}, {"x-api-key": "one"}):
            get = await client.get(path, headers=headers)
            head = await client.head(path, headers=headers)
            assert head.status_code == get.status_code
            assert head.headers["content-type"] == get.headers["content-type"]


async def test_health_and_info_show_a_matting_model() -> None:
    async with serving(PredictorWithMatting(FakePredictor(), FakeMatting())) as (client, _):
        model = (await client.get("/health")).json()["model"]
        assert (model["name"], model["dtype"]) == ("fake", None)
        assert model["matting"] == {
            "name": "fake-matting", "device": "cpu", "licence": "unknown", "dtype": "fp32",
        }  # fmt: skip
        assert "matting" in (await client.get("/api/info")).json()["options"]["detail"]


async def test_info_says_by_what_the_patch_order_was_chosen() -> None:
    predictor = FakePredictor()
    predictor.patch_order = PatchOrderChoice("wg_hg_c", "weights", -41.5)
    async with serving(predictor) as (client, _):
        model = (await client.get("/api/info")).json()["model"]
        assert model["patch_order"] == {"order": "wg_hg_c", "source": "weights", "z": -41.5}


@pytest.mark.parametrize("open_endpoints", ["all", "none"])
async def test_probes_tell_no_more_than_health_does(open_endpoints: str) -> None:
    predictor = FakePredictor([DeviceFailure("the device at /dev/secret is lost")])
    async with serving(predictor, api_keys="k", open_endpoints=open_endpoints) as (client, _):
        await client.post(
            PATH,
            content=picture_bytes((8, 8)),
            headers={"Content-Type": "image/png", "X-API-Key": "k"},
        )
        probes = [(await client.get(path)).json() for path in ("/livez", "/readyz")]
    reason = "the device at /dev/secret is lost" if open_endpoints == "all" else ""
    assert probes == [{"status": "failed", "detail": reason}] * 2


async def test_metrics_count_requests_and_start_every_label_at_zero() -> None:
    async with serving() as (client, _):
        before = (await client.get("/metrics")).text
        for outcome in ("ok", "client_error", "rejected", "cancelled", "timeout", "error"):
            assert f'rmbg_requests_total{{outcome="{outcome}"}} 0.0' in before
        for reason in ("jobs", "pixels", "deadline", "not_ready"):
            assert f'rmbg_rejected_total{{reason="{reason}"}} 0.0' in before
        headers = {"content-type": "image/png"}
        await client.post(PATH, content=picture_bytes(), headers=headers)
        await client.post(PATH, content=b"?", headers=headers)
        after = (await client.get("/metrics")).text
        assert 'rmbg_requests_total{outcome="ok"} 1.0' in after
        assert 'rmbg_requests_total{outcome="client_error"} 1.0' in after
        for stage in ("read", "decode", "queue", "predict", "refine", "encode"):
            count = re.search(rf'rmbg_stage_seconds_count{{stage="{stage}"}} (\d+)', after)
            assert count is not None
            assert int(count[1]) >= 1
        assert 'rmbg_model_info{device="cpu",licence="unknown",name="fake"} 1.0' in after
        assert "rmbg_inflight_jobs 0.0" in after
        assert "rmbg_inflight_jobs_limit 16.0" in after
