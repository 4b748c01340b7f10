"""Writes a small Parquet file with pyarrow for data's test: the path comes as JSON on standard input."""

import json
import sys

import pyarrow as pa
import pyarrow.parquet as pq

path = json.load(sys.stdin)["path"]
table = pa.table({
    "text": pa.array(["a", "b"]),
    "n": pa.array([1.5, None]),
    "tags": pa.array([["x", '"y"'], []], pa.list_(pa.string())),
    "group": pa.array([{"at": [3, 4]}, {"at": []}], pa.struct([("at", pa.list_(pa.int64()))])),
})
pq.write_table(table, path, compression="snappy")
print("true")
