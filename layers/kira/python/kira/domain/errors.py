"""Everything that can go wrong, said as a person would read it."""

from __future__ import annotations


class KiraError(Exception):
    """Something went wrong in Kira. It was written to the log.

    The root of everything that a person can be told about. The first line of a subclass's docstring is the sentence
    people read when no other is given. `code` is the stable name that programs read; `details` are further fields of
    the error's one shape.
    """

    code = "INTERNAL"

    def __init__(self, message: str | None = None, **details: object) -> None:
        """Say `message`, or the class's own sentence; `details` join the body of the answer."""
        self.message = message or str(type(self).__doc__).strip().splitlines()[0]
        self.details = details
        super().__init__(self.message)


class BadRequest(KiraError):
    """This request could not be read. Send JSON as the API's documentation shows."""

    code = "BAD_REQUEST"


class Invalid(KiraError):
    """A value in this request is not allowed."""

    code = "INVALID"


class TooLarge(KiraError):
    """This request is larger than Kira accepts."""

    code = "TOO_LARGE"


class Unauthenticated(KiraError):
    """Sign in first."""

    code = "UNAUTHENTICATED"


class TokenExpired(KiraError):
    """This access token has expired. Refresh it and try again."""

    code = "TOKEN_EXPIRED"


class WrongCredentials(KiraError):
    """This e-mail and password do not match an account."""

    code = "WRONG_CREDENTIALS"


class Forbidden(KiraError):
    """You are not allowed to do this."""

    code = "FORBIDDEN"


class NotFound(KiraError):
    """There is nothing here with this id."""

    code = "NOT_FOUND"


class Conflict(KiraError):
    """This cannot be done in the present state."""

    code = "CONFLICT"


class Waits(KiraError):
    """Try again later."""

    code = "UNAVAILABLE"

    def __init__(self, message: str | None = None, *, retry_after_s: float, **details: object) -> None:
        """Refuse for now; `retry_after_s` is the true wait in seconds."""
        super().__init__(message, retry_after_s=retry_after_s, **details)
        self.retry_after_s = retry_after_s


class RateLimited(Waits):
    """You have reached a limit. Wait a little and try again."""

    code = "RATE_LIMITED"


class QueueFull(Waits):
    """Too many of your messages are waiting for an answer. Wait for one of them, or cancel one."""

    code = "QUEUE_FULL"


class TooManyStreams(Waits):
    """Too many event streams are open for you. Close one and try again."""

    code = "TOO_MANY_STREAMS"


class Unavailable(Waits):
    """Kira cannot do this just now. It will come back by itself; try again shortly."""

    code = "UNAVAILABLE"


class DiskFull(KiraError):
    """The disk is full, so nothing was changed. Free some room and try again."""

    code = "DISK_FULL"


class WrongSetting(KiraError):
    """A setting has a value that Kira cannot use."""

    code = "WRONG_SETTING"


class UnprovenStatement(KiraError):
    """A statement that was not proven to stay within one user was refused."""

    code = "INTERNAL"


class EngineError(KiraError):
    """The model server could not answer."""

    code = "MODEL_FAILED"
    retry = False  # True: the run waits and goes again; False: the run has failed


class NoModel(EngineError):
    """There is no model yet. Install one with `ollama pull llama3.2` and try again."""

    code = "NO_MODEL"


class ModelNotFound(EngineError):
    """The model server does not have this model. Pull it with `ollama pull`, or choose another."""

    code = "MODEL_NOT_FOUND"


class ServerDown(EngineError):
    """No model server answers. Start Ollama with `ollama serve`; Kira goes on by itself."""

    code = "MODEL_SERVER_DOWN"
    retry = True


class ServerBusy(EngineError):
    """The model server is busy with other work."""

    code = "MODEL_SERVER_BUSY"
    retry = True


class OutOfMemory(EngineError):
    """The model server is out of memory. Choose a smaller model or free memory, and try again."""

    code = "MODEL_OUT_OF_MEMORY"


class StreamCut(EngineError):
    """The model server stopped in the middle of the answer."""

    code = "STREAM_CUT"
    retry = True


class TooSlow(EngineError):
    """The model server did not go on in time."""

    code = "MODEL_SLOW"
    retry = True


class TooLong(EngineError):
    """This message is longer than the model can read. Shorten it, or choose a model with more context."""

    code = "TOO_LONG"


class GaveUp(EngineError):
    """The answer was begun several times and never finished. Try again, or choose another model."""

    code = "GAVE_UP"
