"""Writes hub.parquet as Hugging Face's datasets library lays out an image data set (pyarrow 21+).

The pictures are 2x2 PNG files. Run: python make_golden.py
"""
import io
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image


def png(color):
    out = io.BytesIO()
    Image.new("RGB", (2, 2), color).save(out, "PNG")
    return out.getvalue()


images = pa.array([{"bytes": png(c), "path": None} for c in [(255, 0, 0), (0, 255, 0), (1, 2, 3)]], pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
table = pa.table({
    "image": images,
    "image_id": ["a", "b", "c"],
    "caption": ["CT of a", " MRI, of b", "c"],
    "cui": pa.array([["C0040405"], ["C0024485", "C0000726"], ["nan"]], pa.list_(pa.string())),
})
pq.write_table(table, "hub.parquet", row_group_size=2, compression="snappy")
