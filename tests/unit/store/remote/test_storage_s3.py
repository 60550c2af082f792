"""The store on object storage over the real S3 protocol, against moto's server in this process."""

from __future__ import annotations

import pytest

from fake_steps import fake_job, inline
from tunescope.errors import StoreError
from tunescope.execution import run_plan
from tunescope.store import Store
from tunescope.store.remote.lease import Pace
from tunescope.store.remote.storage import RemoteStore

pytest.importorskip("s3fs", reason="needs s3fs: pip install s3fs 'moto[server]'")
moto = pytest.importorskip("moto.server", reason="needs moto's server: pip install s3fs 'moto[server]'")


@pytest.fixture
def bucket(monkeypatch):
    import s3fs

    server = moto.ThreadedMotoServer(port=0)
    server.start()
    url = f"http://127.0.0.1:{server.get_host_and_port()[1]}"
    secrets = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in {**secrets, "AWS_ENDPOINT_URL": url}.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    s3fs.S3FileSystem().makedirs("bucket", exist_ok=True)  # moto keeps it for the next server of the process
    yield "s3://bucket/study"
    server.stop()
    s3fs.S3FileSystem.clear_instance_cache()


def test_a_run_goes_to_s3_and_comes_back_whole_while_a_second_run_is_refused(bucket, tmp_path):
    one, two = (Store.open(tmp_path / name, create=True) for name in ("one", "two"))
    good, bad = fake_job("good"), fake_job("bad", does="raise")
    run_plan([good, bad], one, inline(one, tmp_path / "ran"))
    remote, pace = RemoteStore.open(bucket, create=True), Pace(renew_s=0.2, stale_s=2.0, settle_s=0.1)
    with remote.lock(pace):
        with pytest.raises(StoreError, match="is in use by process"), remote.lock(pace):
            raise AssertionError("leased twice")
        remote.push_end(one, good.kind, good.id, "done")
        remote.push_end(one, bad.kind, bad.id, "failed")
    assert RemoteStore.open(bucket, create=False).pull_all(two) == 1
    two.verify(good.kind, good.id)
    assert two.failure(bad.kind, bad.id) == one.failure(bad.kind, bad.id)


def test_a_bucket_that_is_not_there_is_told(bucket):
    with pytest.raises(StoreError, match="See that the bucket is there and that this machine may use it"):
        RemoteStore.open("s3://nosuchbucket/study", create=True)
