"""Whether a model can be reached at all, as far as it can be told before the first request."""

from aar.budget import read_prices
from aar.config import CampaignConfig, ClaudeConfig
from aar.errors import ConfigError, ModelAccessError
from aar.researchers.brains.claude.prompts import first_words, system_words

NO_CREDENTIALS = (
    "no credentials for a model: set ANTHROPIC_API_KEY, or what else the anthropic package reads (ANTHROPIC_BASE_URL "
    "for an endpoint other than Anthropic's), in the environment of aar; on a Ray cluster, in that of its nodes"
)


def check_model_access(config: CampaignConfig) -> None:
    """Check what every claude researcher of a campaign needs, before anything is paid for.

    Raises:
        ConfigError: a model has no price, or a prompt or direction cannot be read.
        MindError: there are no credentials.
    """
    thinking = [one for one in config.researchers if one.brain == "claude"]
    for researcher in thinking:
        try:
            mind = researcher.claude or config.claude
            check_price(mind)
            system_words(researcher, config, mark="")
            first_words(researcher, [])
        except ConfigError as error:
            raise ConfigError(f"{researcher.name}: {error}") from None
    if thinking:
        check_credentials()


def check_price(mind: ClaudeConfig) -> None:
    """Raises ConfigError when the price table has no price for the model."""
    read_prices(mind.prices).price(mind.model)


def check_credentials() -> None:
    """Raises MindError when the anthropic package finds no credentials in its environment."""
    import anthropic  # takes seconds

    client = anthropic.AsyncAnthropic()
    headers = {name.lower() for name in client.default_headers}
    given = (client.api_key, client.auth_token, client.credentials)
    if not any(given) and not headers & {"authorization", "x-api-key"}:
        raise ModelAccessError(NO_CREDENTIALS)
