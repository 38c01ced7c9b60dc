"""Checks of access to a campaign's models, before the first request."""

from aar.budget import read_prices
from aar.config import CampaignConfig, ClaudeConfig
from aar.errors import ConfigError, ModelAccessError
from aar.researchers.prompts import render_first_message, render_system_prompt

NO_CREDENTIALS = (
    "no credentials for a model: set ANTHROPIC_API_KEY, or another variable that the anthropic package reads "
    "(ANTHROPIC_BASE_URL for an endpoint other than Anthropic's), in the environment of aar; on a Ray cluster, in the "
    "environment of its nodes"
)


def check_model_access(config: CampaignConfig) -> None:
    """Check everything that a campaign's claude researchers need, before anything costs money.

    Raises:
        ConfigError: a model has no price, or a prompt or direction cannot be read.
        ModelAccessError: there are no credentials.
    """
    researchers = [researcher for researcher in config.researchers if researcher.brain == "claude"]
    for researcher in researchers:
        try:
            check_price(researcher.claude or config.claude)
            render_system_prompt(researcher, config, mark="")
            render_first_message(researcher, [])
        except ConfigError as error:
            raise ConfigError(f"{researcher.name}: {error}") from None
    if researchers:
        check_credentials()


def check_price(llm: ClaudeConfig) -> None:
    """Raise ConfigError if the price table has no price for the model."""
    read_prices(llm.prices).price(llm.model)


def check_credentials() -> None:
    """Raise ModelAccessError if the anthropic package finds no credentials in its environment."""
    import anthropic  # takes seconds

    client = anthropic.AsyncAnthropic()
    headers = {name.lower() for name in client.default_headers}
    credentials = (client.api_key, client.auth_token, client.credentials)
    if not any(credentials) and not headers & {"authorization", "x-api-key"}:
        raise ModelAccessError(NO_CREDENTIALS)
