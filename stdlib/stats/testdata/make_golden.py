"""Makes golden.json: what SciPy says about a few small samples.

Run with numpy 2.4.6 and scipy 1.17.1:  python make_golden.py > golden.json
"""

import json
import sys

import numpy
import scipy
from scipy import stats

assert (numpy.__version__, scipy.__version__) == ("2.4.6", "1.17.1"), (numpy.__version__, scipy.__version__)
rng = numpy.random.default_rng(1)


def case(x, y):
    x, y = numpy.asarray(x, float), numpy.asarray(y, float)
    fit = stats.linregress(x, y)
    pearson, spearman = stats.pearsonr(x, y), stats.spearmanr(x, y)
    out = {
        "x": x.tolist(), "y": y.tolist(),
        "mean": x.mean(), "sd": x.std(ddof=1), "q": numpy.quantile(x, [0, 0.025, 0.3, 0.5, 1]).tolist(),
        "ranks": stats.rankdata(x).tolist(),
        "pearson": [pearson.statistic, pearson.pvalue], "spearman": [spearman.statistic, spearman.pvalue],
        "line": [fit.slope, fit.intercept, fit.rvalue**2, fit.pvalue, fit.stderr],
    }
    if len(x) <= 12:
        t = stats.permutation_test((x, y), lambda a, b: numpy.mean(a - b), permutation_type="samples", vectorized=False, n_resamples=numpy.inf)
        out["permutation"] = t.pvalue
    # The distribution is SciPy's own draw; what is compared is how an interval is read off it.
    for method in ["percentile", "BCa"]:
        b = stats.bootstrap((x,), numpy.mean, n_resamples=199, method=method, random_state=numpy.random.default_rng(7))
        out[method] = [b.confidence_interval.low, b.confidence_interval.high]
        out["distribution"] = b.bootstrap_distribution.tolist()
    return {k: v if not isinstance(v, numpy.floating) else float(v) for k, v in out.items()}


cases = [
    case(rng.normal(size=5), rng.normal(size=5)),
    case(rng.random(12), rng.random(12)),
    case([1, 2, 2, 3, 3, 3, 4, 5], [2, 1, 2, 2, 5, 5, 6, 6]),           # ties
    case(rng.exponential(size=40), rng.normal(size=40)),                 # skewed
    case(numpy.arange(20) + rng.normal(size=20) / 50, numpy.arange(20)),  # nearly a line
    case(rng.integers(0, 3, 60), rng.integers(0, 4, 60)),                # many ties
    # The paper's ten systems: relevance against factuality (Figure 9).
    case([.516, .504, .482, .462, .466, .372, .362, .320, .325, .284], [.118, .109, .099, .083, .093, .091, .038, .056, .028, .024]),
]
json.dump(cases, sys.stdout)
