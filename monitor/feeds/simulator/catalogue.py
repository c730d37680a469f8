"""The 60 markets and 6 bots of the demonstration venue.

Half are coins quoted in USDT, half are yes/no contracts between 1 and 99 cents. Prices are
plausible, not current; shares say how much of the trading a market gets on an average day.
"""

from dataclasses import dataclass

from monitor.config import DEMO_ACCOUNT

VENUE = "sim"
ACCOUNT = DEMO_ACCOUNT


@dataclass(frozen=True, slots=True)
class MarketSpec:
    market: str
    title: str
    price: int
    """At the start, scaled."""
    price_decimals: int
    size_decimals: int
    step: int
    """Distance between two neighbouring book levels, scaled."""
    typical_size: int
    """Of one book level, scaled."""
    levels: int
    """How many levels the price scale has; a contract can't cost 100 cents."""
    volatility: float
    """Levels that the fair price moves by with one trade, as a standard deviation."""
    share: float
    quote: str


@dataclass(frozen=True, slots=True)
class BotSpec:
    bot_id: str
    name: str
    market: str
    base_size: int
    """Scaled, as the market's sizes."""
    size_scale: float
    step_levels: float
    """How far below the base order the first safety order waits, in book levels."""
    step_scale: float
    take_profit_levels: float
    safety_orders_max: int


_COINS = (
    ("BTCUSDT", "Bitcoin", 6_183_763, 2, 5, 9.0),
    ("ETHUSDT", "Ethereum", 265_012, 2, 4, 7.0),
    ("SOLUSDT", "Solana", 156_480, 3, 3, 6.0),
    ("XRPUSDT", "XRP", 61_235, 5, 1, 3.0),
    ("DOGEUSDT", "Dogecoin", 105_220, 6, 0, 4.0),
    ("BNBUSDT", "BNB", 512_350, 3, 3, 2.0),
    ("ADAUSDT", "Cardano", 34_560, 5, 1, 1.2),
    ("TRXUSDT", "TRON", 12_874, 5, 1, 0.8),
    ("AVAXUSDT", "Avalanche", 217_800, 4, 2, 1.0),
    ("LINKUSDT", "Chainlink", 103_450, 4, 2, 1.0),
    ("DOTUSDT", "Polkadot", 45_820, 4, 2, 0.7),
    ("TONUSDT", "Toncoin", 62_150, 4, 2, 0.7),
    ("SHIBUSDT", "Shiba Inu", 14_230, 9, 0, 0.9),
    ("PEPEUSDT", "Pepe", 78_900, 10, 0, 1.6),
    ("LTCUSDT", "Litecoin", 61_420, 3, 3, 0.6),
    ("BCHUSDT", "Bitcoin Cash", 342_100, 3, 3, 0.4),
    ("NEARUSDT", "NEAR Protocol", 41_270, 4, 1, 0.6),
    ("UNIUSDT", "Uniswap", 61_350, 4, 2, 0.5),
    ("APTUSDT", "Aptos", 60_140, 4, 2, 0.6),
    ("SUIUSDT", "Sui", 97_310, 5, 1, 1.4),
    ("ICPUSDT", "Internet Computer", 78_040, 4, 2, 0.3),
    ("ETCUSDT", "Ethereum Classic", 189_300, 4, 2, 0.3),
    ("FILUSDT", "Filecoin", 36_940, 4, 2, 0.3),
    ("ARBUSDT", "Arbitrum", 54_370, 5, 1, 0.5),
    ("OPUSDT", "Optimism", 138_200, 5, 1, 0.5),
    ("INJUSDT", "Injective", 189_420, 4, 2, 0.4),
    ("ATOMUSDT", "Cosmos", 46_550, 4, 2, 0.3),
    ("AAVEUSDT", "Aave", 101_250, 3, 3, 0.4),
    ("WIFUSDT", "dogwifhat", 167_500, 5, 1, 0.8),
    ("SEIUSDT", "Sei", 29_210, 5, 1, 0.4),
)
"""(market, title, price, price decimals, size decimals, share)"""

_CONTRACTS = (
    ("KXFED-27JAN-T3.75", "Fed funds rate above 3.75 % after the January meeting?", 62, 3.0),
    ("KXFED-27MAR-T3.50", "Fed funds rate above 3.50 % after the March meeting?", 48, 1.5),
    ("KXCPIYOY-26NOV-T2.8", "US inflation above 2.8 % in November?", 41, 2.0),
    ("KXPAYROLLS-26NOV-T100000", "More than 100,000 new US jobs in November?", 55, 1.2),
    ("KXU3-26NOV-T4.4", "US unemployment above 4.4 % in November?", 37, 0.8),
    ("KXGDP-26Q4-T2.0", "US growth above 2.0 % in the fourth quarter?", 58, 0.8),
    ("KXRECSSNBER-27", "US recession in 2027?", 27, 0.7),
    ("KXINXY-26DEC31-B7000", "S&P 500 above 7,000 at the end of the year?", 44, 1.6),
    ("KXNASDAQ100Y-26DEC31-B26000", "Nasdaq-100 above 26,000 at the end of the year?", 39, 0.9),
    ("KXBTCMAXY-26DEC31-T150000", "Bitcoin above $150,000 this year?", 12, 1.8),
    ("KXETHMAXY-26DEC31-T5000", "Ether above $5,000 this year?", 18, 0.9),
    ("KXGOLD-26DEC31-T4500", "Gold above $4,500 an ounce at the end of the year?", 34, 0.6),
    ("KXWTI-26DEC31-T70", "Crude oil above $70 a barrel at the end of the year?", 46, 0.6),
    ("KXGASMAX-26DEC31-T3.25", "US petrol above $3.25 a gallon this year?", 52, 0.4),
    ("KXHIGHNY-26NOV21-B52", "New York's high at 52 to 53 degrees tomorrow?", 31, 2.2),
    ("KXHIGHCHI-26NOV21-B45", "Chicago's high at 45 to 46 degrees tomorrow?", 24, 1.0),
    ("KXHIGHMIA-26NOV21-B82", "Miami's high at 82 to 83 degrees tomorrow?", 43, 0.9),
    ("KXHIGHLAX-26NOV21-B70", "Los Angeles' high at 70 to 71 degrees tomorrow?", 36, 0.8),
    ("KXRAINNYC-26NOV21", "Rain in New York tomorrow?", 66, 0.9),
    ("KXSNOWNYM-26DEC-T5.0", "More than 5 inches of snow in New York in December?", 29, 0.5),
    ("KXNFLGAME-26NOV22KCBUF-KC", "Kansas City to beat Buffalo?", 47, 4.0),
    ("KXNFLGAME-26NOV22DALPHI-PHI", "Philadelphia to beat Dallas?", 61, 3.0),
    ("KXNBAGAME-26NOV21LALBOS-BOS", "Boston to beat Los Angeles?", 58, 2.5),
    ("KXNHLGAME-26NOV21TORMTL-TOR", "Toronto to beat Montreal?", 54, 0.9),
    ("KXSB-27-KC", "Kansas City to win the Super Bowl?", 15, 0.8),
    ("KXF1-26-NOR", "Norris to win the drivers' title?", 63, 0.8),
    ("KXOSCARPIC-27-ODY", "The Odyssey to win best picture?", 33, 0.5),
    ("KXSPOTIFYD-26NOV21-SWIFT", "Taylor Swift top of the daily chart tomorrow?", 71, 0.5),
    ("KXTSAW-26NOV22-B2.6", "More than 2.6 million air travellers a day this week?", 49, 0.4),
    ("KXMOONLAND-30", "People on the Moon before 2030?", 42, 0.4),
)
"""(market, title, price in cents, share)"""

_LEVEL_FRACTION = 20_000
"""A coin's book levels are a 20,000th of its price apart, half a basis point."""
_LEVEL_VALUE = 5_000
"""What a typical coin level is worth, in USDT."""
_UNBOUNDED_LEVELS = 10**9


def _coin(
    market: str, title: str, price: int, price_decimals: int, size_decimals: int, share: float
) -> MarketSpec:
    step = max(1, price // _LEVEL_FRACTION)
    return MarketSpec(
        market=market,
        title=title,
        price=price,
        price_decimals=price_decimals,
        size_decimals=size_decimals,
        step=step,
        typical_size=max(1, _LEVEL_VALUE * 10 ** (price_decimals + size_decimals) // price),
        levels=_UNBOUNDED_LEVELS,
        volatility=price / 5_000 / step,
        share=share,
        quote="USDT",
    )


def _contract(market: str, title: str, cents: int, share: float) -> MarketSpec:
    return MarketSpec(
        market=market,
        title=title,
        price=cents,
        price_decimals=2,
        size_decimals=2,
        step=1,
        typical_size=60_000,
        levels=99,
        volatility=0.25,
        share=share,
        quote="USD",
    )


MARKETS = tuple(_coin(*row) for row in _COINS) + tuple(_contract(*row) for row in _CONTRACTS)

BOTS = (
    BotSpec("bot-1", "Bitcoin, patient", "BTCUSDT", 200, 1.5, 10, 1.3, 9, 6),
    BotSpec("bot-2", "Ether, steady", "ETHUSDT", 500, 1.4, 9, 1.2, 8, 6),
    BotSpec("bot-3", "Solana, quick", "SOLUSDT", 1_000, 1.6, 8, 1.2, 7, 5),
    BotSpec("bot-4", "Dogecoin, bold", "DOGEUSDT", 1_500, 2.0, 9, 1.4, 8, 4),
    BotSpec("bot-5", "Fed watcher", "KXFED-27JAN-T3.75", 10_000, 1.5, 1, 1.0, 1, 4),
    BotSpec("bot-6", "Sunday games", "KXNFLGAME-26NOV22KCBUF-KC", 5_000, 1.5, 1, 1.0, 1, 5),
)
