"""The JSON text of a publication that is kept: in a tape, a channel's history, a list of fills.

msgspec's, since its results are as long as their text: one of orjson holds 4 KiB (measured with
3.13), and a server that keeps 20,000 of them grew by 70 MiB in three minutes.
"""

import msgspec

encode_payload = msgspec.json.Encoder().encode
