"""The `quality_metrics` asset."""

import dagster as dg

from trading_assets.assets.policy import table_schema
from trading_assets.monitoring.metrics import metric_history
from trading_assets.monitoring.quality import DataQualityMonitor
from trading_assets.repositories.schemas import ALL_SYMBOLS
from trading_assets.resources.archive import ArchiveResource
from trading_assets.resources.metadata_pictures import shown
from trading_assets.validation import DATASETS

ISSUES_SHOWN = 50
"""Sentences in the metadata; the alerts hold all."""


@dg.asset(
    deps=list(DATASETS),
    group_name="monitoring",
    kinds={"parquet"},
    owners=["team:trading-assets"],
    code_version="1",
    metadata={"dagster/column_schema": table_schema("quality_metrics"), "dagster/table_name": "quality_metrics"},
)
def quality_metrics(archive: ArchiveResource) -> dg.MaterializeResult:
    """How good the archive is, measured every hour: coverage, violations of the rules, open issues. Kept over time."""
    from trading_assets.monitoring.report import write_report

    monitor = DataQualityMonitor(archive.settings())
    report = monitor.generate_quality_report()
    monitor.log_quality_metrics(report)
    figures = report.as_dict()
    return dg.MaterializeResult(
        metadata={
            "critical_issues": report.has_critical_issues(),
            "window": f"{report.first} to {report.last}",
            "rules_failing": dg.MetadataValue.json({result.rule.name: result.failed for result in report.failing()}),
            "open_issues": dg.MetadataValue.json([str(issue.reason) for issue in report.issues][:ISSUES_SHOWN]),
            "conditions": dg.MetadataValue.json(figures["conditions"]),
            "metrics": dg.MetadataValue.json(
                {f"{m.metric} {m.about}": m.value for m in report.metrics if m.symbol == ALL_SYMBOLS}
            ),
            "report": dg.MetadataValue.path(str(write_report(monitor.settings))),
            "picture": shown(lambda: _picture(monitor), "quality over time"),
        }
    )


def _picture(monitor: DataQualityMonitor) -> bytes:
    # matplotlib: half a second for every process that loads the definitions
    from trading_assets.monitoring.pictures import metrics_png

    return metrics_png(metric_history(monitor.settings.data_dir))
