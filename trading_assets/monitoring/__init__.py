"""What a person looks at and is told: quality, coverage, status, alerts and pictures of the data."""

from trading_assets.monitoring.quality import DataQualityMonitor, QualityReport, log_quality_metrics, send_alert

__all__ = ["DataQualityMonitor", "QualityReport", "log_quality_metrics", "send_alert"]
