"""From raw records of any format to checked events, and back. `decoder` is the door; see its module for the way."""

from schemas.decode.decoder import decoder
from schemas.decode.detect import detect_format
from schemas.decode.encode import encode_native
from schemas.decode.files import FileProgress, RawRecord, file_progress, mapping_for, read_records
from schemas.decode.mapping import Mapping, Rule, load_mapping
from schemas.decode.options import Decode, DecodeOptions, Format, Internal

__all__ = [
    "Decode",
    "DecodeOptions",
    "FileProgress",
    "Format",
    "Internal",
    "Mapping",
    "RawRecord",
    "Rule",
    "decoder",
    "detect_format",
    "encode_native",
    "file_progress",
    "load_mapping",
    "mapping_for",
    "read_records",
]
