"""The language model as a judge: one question, one structured answer, with tokens and cost. No retries of its own
beyond the client's two; a refusal, a bad answer or a failed call raises and never yields an approval.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from decimal import Decimal

from openai import APIConnectionError, APIStatusError, AsyncOpenAI
from openai.types.responses import ParsedResponse

from orchestration.judging.schema import INSTRUCTIONS, PROMPT_VERSION, JudgeAnswer, question
from streams.market.errors import MalformedFrame, PermanentError, TransientError
from streams.market.listing import Listing
from streams.settings import Settings
from streams.venues.common.responses import check_storable

_TIMEOUT_S = 60.0
_MILLION = Decimal(1_000_000)
_MAX_OUTPUT_TOKENS = 4_000
_MOST_TOKENS = 100_000_000


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer with its tokens and its cost."""

    answer: JudgeAnswer
    input_tokens: int
    output_tokens: int
    cost_usd: Decimal


class UnusableAnswer(PermanentError):
    """The model answered, and not with a verdict: it refused, did not finish, or wrote something else.

    Attributes:
        cost_usd: What that cost, at most.
    """

    def __init__(self, message: str, cost_usd: Decimal) -> None:
        super().__init__(message)
        self.cost_usd = cost_usd


class LanguageModelJudge:
    """Asks an OpenAI-compatible API. Thread-safe.

    Args:
        settings: Key, base address, model and prices.
        timeout_s: Limit of one question, with its retries and the whole answer.
    """

    def __init__(self, settings: Settings, *, timeout_s: float = _TIMEOUT_S) -> None:
        if settings.openai_api_key is None:
            raise PermanentError("OPENAI_API_KEY is not set")
        self.model = settings.judge_model
        self._input_price = settings.judge_input_usd_per_mtok
        self._output_price = settings.judge_output_usd_per_mtok
        self._key = settings.openai_api_key
        self._base_url = settings.openai_base_url or None
        self._timeout_s = timeout_s

    @property
    def version(self) -> str:
        """What decides an answer besides the texts: the model and the prompt."""
        return f"{self.model}/{PROMPT_VERSION}"

    def ask(self, a: Listing, b: Listing) -> Answered:
        """Judge one pair.

        Raises:
            TransientError: The call failed or timed out; asking later may help.
            PermanentError: The API refused the call.
            UnusableAnswer: The model gave no usable answer.
        """
        try:
            response = asyncio.run(self._parse(question(a, b)))
        except TimeoutError:
            raise TransientError(f"the judge's API did not answer within {self._timeout_s:g} s") from None
        except APIStatusError as error:
            failure = (
                TransientError if error.status_code in (408, 409, 429) or error.status_code >= 500 else PermanentError
            )
            raise failure(f"the judge's API answered {error.status_code}") from None
        except APIConnectionError as error:
            raise TransientError(f"the judge's API cannot be reached: {type(error).__name__}") from None
        except Exception as error:  # whatever the client makes of an answer that is none
            raise self._unusable(f"the judge's answer cannot be used: {type(error).__name__}", a, b) from None
        parsed = response.output_parsed
        if parsed is None:
            raise self._unusable("the judge refused or did not finish its answer", a, b)
        try:
            check_storable(parsed.model_dump())
        except MalformedFrame as error:
            raise self._unusable(f"the judge's answer cannot be used: it {error.reason}", a, b) from None
        tokens_in = _tokens(response.usage, "input_tokens", _most_input_tokens(a, b))
        tokens_out = _tokens(response.usage, "output_tokens", _MAX_OUTPUT_TOKENS)
        return Answered(parsed, tokens_in, tokens_out, self.cost_usd(tokens_in, tokens_out))

    def _unusable(self, message: str, a: Listing, b: Listing) -> UnusableAnswer:
        return UnusableAnswer(message, self.estimate_usd(a, b))

    async def _parse(self, content: str) -> ParsedResponse[JudgeAnswer]:
        """Send one question; the limit holds for all of it, with its retries and the last byte of the answer."""
        client = AsyncOpenAI(
            api_key=self._key.get_secret_value(), base_url=self._base_url, timeout=self._timeout_s, max_retries=2
        )
        async with asyncio.timeout(self._timeout_s), client:
            return await client.responses.parse(
                model=self.model,
                instructions=INSTRUCTIONS,
                input=[{"role": "user", "content": content}],
                text_format=JudgeAnswer,
                max_output_tokens=_MAX_OUTPUT_TOKENS,
            )

    def cost_usd(self, input_tokens: int, output_tokens: int) -> Decimal:
        """Return what so many tokens cost at the settings' prices."""
        return (input_tokens * self._input_price + output_tokens * self._output_price) / _MILLION

    def estimate_usd(self, a: Listing, b: Listing) -> Decimal:
        """Return an upper estimate of one question's cost, for the budget: three characters a token, a full answer."""
        return self.cost_usd(_most_input_tokens(a, b), _MAX_OUTPUT_TOKENS)


def _most_input_tokens(a: Listing, b: Listing) -> int:
    return (len(INSTRUCTIONS) + len(question(a, b)) + 2_000) // 3


def _tokens(usage: object, name: str, estimate: int) -> int:
    """Return a number of tokens as the API states it; the estimate where it states none that can be one."""
    found = getattr(usage, name, None)
    if isinstance(found, int) and not isinstance(found, bool) and 0 <= found < _MOST_TOKENS:
        return found
    return estimate
