"""A scripted LLM server: polite unless told otherwise.

Left alone it answers every request in the wire format of its path, whole or as a stream, with
something that fits what was asked: a value of the JSON schema where there is one, else a
sentence. Equal requests get equal answers. What the real server of a format would refuse, such
as a wrong key or an unknown member, is refused in that server's words. llm.script(...) queues
steps that the next requests get instead; llm.always is a step for all that find the queue empty,
or a function that takes the Request and returns one.

    site.llm.script(Step(status=503, headers={"Retry-After": "1"}), Step(delay=0.2))
    ...
    assert site.llm.count == 2
"""

from .server import LLM, Request
from .step import Step

__all__ = ["LLM", "Request", "Step"]
