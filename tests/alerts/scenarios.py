"""What each rule must do: fire, keep silent, resolve. One list, for the shipped rules and for their mutants."""

from tests.alerts.falls import FALLS, OF_FALLS, WITH_FLOOR
from tests.alerts.others import OF_OTHERS
from tests.alerts.sales import SALES, WITH_SALES

SCENARIOS = (*OF_FALLS, *OF_OTHERS)

__all__ = ["FALLS", "SALES", "SCENARIOS", "WITH_FLOOR", "WITH_SALES"]
