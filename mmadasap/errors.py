"""One class for what a user can mend."""


class UserError(ValueError):
    """Bad input, configuration or data; the message is one sentence naming the value and the remedy."""
