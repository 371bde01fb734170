"""How to answer one request."""

from dataclasses import dataclass, field


@dataclass
class Step:
    """Without a body the answer is the format's own, which for an error status is the format's
    error document."""
    status: int = 200
    headers: dict = field(default_factory=dict)
    body: object = None            # bytes, str, or anything for json.dumps
    text: str = None               # the model's words, within the format's own document
    document: dict = None          # changes to top-level members of the format's own document
    error: str = None              # the error's code, type or status instead of the usual one
    message: str = None            # the error's words
    finish: str = "stop"           # or "length", "filter": why the model ended
    usage: tuple = None            # (input, output) tokens; else words are counted
    delay: float = 0               # s before the first byte
    drip: int = 0                  # bytes of the body per second; 0: all at once
    cut: int = None                # the connection ends after so many bytes of the body
    size: int = 0                  # a body of so many bytes, no JSON
    content_length: object = None  # announced instead of the true one
    raw: bytes = None              # sent instead of any HTTP, then the connection ends
    silent: bool = False           # nothing at all, until llm.release()

    # Of streams, where one is asked for. A delta is an event with a piece of the answer.
    pieces: list = None            # the deltas' texts; else the answer word by word
    pause: float = 0               # s before each delta but the first
    first_pause: float = 0         # s between the headers and the first delta
    gate: object = None            # threading.Semaphore: each delta waits for one release
    cut_after: int = None          # the connection ends after so many deltas
    error_after: int = None        # the format's error event after so many deltas
    whole: bool = False            # answers in one piece all the same
