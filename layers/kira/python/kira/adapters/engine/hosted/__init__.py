"""The engine of a hosted provider that speaks the protocol of OpenAI's chat completions."""
