"""The settings, and the words that they share with the rest."""

from monitor.config.namespaces import (
    DEFAULT_KINDS,
    DEFAULT_NAMESPACES,
    Access,
    Delivery,
    Kind,
    Lane,
    Namespace,
    Namespaces,
)
from monitor.config.settings import (
    CADENCES,
    BinanceAccountSettings,
    BinanceSettings,
    Cadence,
    FeedsSettings,
    KalshiSettings,
    Limits,
    Preset,
    Settings,
    SimulatorSettings,
    TlsSettings,
    load_settings,
)

__all__ = [
    "CADENCES",
    "DEFAULT_KINDS",
    "DEFAULT_NAMESPACES",
    "Access",
    "BinanceAccountSettings",
    "BinanceSettings",
    "Cadence",
    "Delivery",
    "FeedsSettings",
    "KalshiSettings",
    "Kind",
    "Lane",
    "Limits",
    "Namespace",
    "Namespaces",
    "Preset",
    "Settings",
    "SimulatorSettings",
    "TlsSettings",
    "load_settings",
]
