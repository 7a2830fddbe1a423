"""Makes replica_target.csv: the replica count of a blob, computed apart from the library.

Exact fractions, written from the rule in docs/policy.md: base x (1 + demand) x multiplier, truncated, then clamped to
[5, ceiling]. Run: python3 replica_target.py > replica_target.csv
"""
from fractions import Fraction
from math import floor

MIB, GIB = 2**20, 2**30
TIERS = [(5, 7), (10, 20), (30, 50), (100, 200), (300, 500), (500, 700)]
EDGES = [MIB, 10 * MIB, 100 * MIB, GIB, 10 * GIB]
# Both ends of every tier: first byte count of the tier, last one before the next.
SIZES = [(0, 0), (0, EDGES[0] - 1)]
for number, edge in enumerate(EDGES, start=1):
    last = EDGES[number] - 1 if number < len(EDGES) else 2**64 - 1
    SIZES += [(number, edge), (number, last)]
# One budget on each side of every step, so eight for four multipliers.
BUDGETS = [(0, "1/2"), (99, "1/2"), (100, "1"), (999, "1"), (1000, "13/10"), (9999, "13/10"), (10000, "3/2"),
           (2**64 - 1, "3/2")]

print("size,demand_permille,budget,want_tier_ceiling,want_global_ceiling")
for tier, size in SIZES:
    base, ceiling = TIERS[tier]
    for demand in range(0, 1001, 100):
        for budget, multiplier in BUDGETS:
            ideal = floor(base * (1 + Fraction(demand, 1000)) * Fraction(multiplier))
            print(size, demand, budget, min(max(ideal, 5), ceiling), min(max(ideal, 5), 700), sep=",")
