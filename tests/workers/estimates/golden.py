"""The golden example: inputs and expected figures, computed by hand from published numbers before the code existed.

A picture classifier on c6i.xlarge in us-east-1 at a billion predictions a month. Sources: price of 2026-07-20
(AWS list, on demand); watts per vCPU of Ice Lake from ccf-coefficients 2026-04; hosts of 2 × 300 W and 128 threads;
PUE 1.08 / 1.15 / 1.20; grid 323.05 / 383.55 / 418 g/kWh (Google us-east4, Ember USA, Electricity Maps PJM);
embodied 0.228 / 0.39 / 0.6284 kg an instance and month; AWS Lambda list price. Triples are low, central, high.
"""

from typing import NamedTuple

Band = tuple[float, float, float]


class Side(NamedTuple):
    peak_instances: int
    mean_instances: float
    p95_ms: float
    headroom: float
    static: float
    autoscaled: float
    per_million: float
    serverless: float
    kwh: Band
    mwh_each: Band
    use_kg: Band
    embodied_kg: Band
    sci: Band


FP32 = Side(
    20, 7.25, 65.732, 0.34268, 2482.0, 899.725, 0.899725, 1351.70, (53.4286, 83.8152, 128.849),
    (0.0534286, 0.0838152, 0.128849), (17.2601, 32.1473, 53.8589), (1.653, 2.8275, 4.5559),
    (0.0189131, 0.0349748, 0.0584148),
)  # fmt: skip
INT8 = Side(
    8, 3.5, 26.8928, 0.731072, 992.8, 434.35, 0.43435, 660.678, (22.8224, 36.0568, 55.8243),
    (0.0228224, 0.0360568, 0.0558243), (7.37276, 13.8296, 23.3345), (0.798, 1.365, 2.1994),
    (0.00817076, 0.0151946, 0.0255339),
)  # fmt: skip
WATTS_FP32, WATTS_INT8 = (9.34737, 13.771, 20.288), (8.27077, 12.2715, 18.2075)
MEAN_RATE, PEAK_RATE = 380.518, 1141.55
SAVED_USD, SAVED_SHARE = 465.375, 0.517241
SAVED_KWH, SAVED_KG = (30.6063, 47.7584, 73.0247), (10.7424, 19.7802, 32.8808)
JOB_KWH, JOB_KG, JOB_USD = 0.69, 0.264649, 2.012
PAYBACK_COST, PAYBACK_CARBON = 4_323_400.0, 13_379_500.0
LADDER = {5e7: 0.0, 2e8: 0.127, 1e9: 0.517, 1e10: 0.592}
