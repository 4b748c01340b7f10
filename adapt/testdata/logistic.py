"""scikit-learn's logistic regression: {"x", "labels", "held", "c"} -> {"weight", "bias", "probabilities" of held}."""
import json
import sys

from sklearn.linear_model import LogisticRegression

job = json.load(sys.stdin)
m = LogisticRegression(C=job["c"], max_iter=10000, tol=1e-10).fit(job["x"], job["labels"])
print(json.dumps({"weight": m.coef_.tolist(), "bias": m.intercept_.tolist(), "probabilities": m.predict_proba(job["held"]).tolist()}))
