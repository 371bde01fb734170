"""Asynchronous batches, as their callers send and follow them."""

from .proc import wait_until

ASYNC = {"Prefer": "respond-async"}


def item(number, name="a"):
    return {"operation": "summarize",
            "text": f"Item {number} of batch {name} has a text of its own, like no other one."}


def submit(site, count=3, name="a", headers=None, http=None, requests=None):
    body = {"requests": requests or [item(number, name) for number in range(count)],
            "batch_id": name}
    return (http or site.http).post("/v1/batch_process", json=body,
                                    headers={**ASYNC, **(headers or {})})


def status(site, name="a", patient=False):
    """How it stands; patient: None where Redis did not answer in time."""
    answer = site.http.get(f"/v1/batch_status/{name}")
    if patient and answer.status == 503 and "Retry-After" in answer.headers:
        return None
    assert answer.status == 200, answer.text
    return answer.json()


def await_end(site, name="a", timeout=20, patient=False):
    def ended():
        found = status(site, name, patient)
        return found if found and found["status"] in ("completed", "cancelled") else None
    return wait_until(ended, f"the end of batch {name}", timeout)


def queue_is_empty(site):
    return not (site.redis.call("XLEN", "tm:jobs") or site.redis.call("ZCARD", "tm:jobs:later"))
