"""A function that cannot be loaded, as when its layer was forgotten."""

import a_library_that_is_nowhere  # type: ignore[import-not-found]

handler = a_library_that_is_nowhere.handler
