"""How errors of the domain end a Dagster step: with the sentence the user needs, and retried only where that can help.

Used by the assets around their work and by the IO manager around the write. What an error says is written where it is
raised; what the command line makes of it is in `cli.app`.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
from pydantic import ValidationError

from trading_assets.errors import BrokerError, LakeBusy, ObjectStoreError
from trading_assets.remedies import Medium, speaking
from trading_assets.settings import wrong_value

MAX_RETRIES_TAG = "dagster/max_retries"
"""How often Dagster's daemon starts a failed run again."""


@contextmanager
def raise_as_dagster_failure(
    context: dg.AssetExecutionContext | dg.OpExecutionContext | dg.OutputContext,
) -> Iterator[None]:
    """Turn errors of the domain into failed steps whose description says what to do; the journal keeps what came.

    What will fail the same way again is not retried, whatever the job's retry tag says.
    """
    try:
        yield
    except (BrokerError, LakeBusy, ObjectStoreError, ValueError) as error:
        retryable = isinstance(error, LakeBusy | ObjectStoreError) or (
            isinstance(error, BrokerError) and error.retryable
        )
        if not retryable:
            if isinstance(context, dg.OutputContext):
                context.step_context.instance.add_run_tags(context.run_id, {MAX_RETRIES_TAG: "0"})
            else:
                context.instance.add_run_tags(context.run.run_id, {MAX_RETRIES_TAG: "0"})
        with speaking(Medium.COMMAND):
            sentence = wrong_value(error) if isinstance(error, ValidationError) else str(error)
        raise dg.Failure(
            sentence, metadata={"retryable": dg.MetadataValue.bool(retryable)}, allow_retries=retryable
        ) from error
