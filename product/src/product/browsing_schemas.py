"""The HTTP models of what shoppers browse: lists, searches, suggestions, categories and facets."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from chassis.http.problems import NO_NUL
from contracts import Sku
from product.domain import Status
from product.schemas import Category, ListedProduct, Picture, Price

Sort = Literal["name", "price", "-price", "newest", "relevance"]
Corrected = Annotated[
    dict[str, str],
    Field(description="Misspelt words of the search, and what each was replaced with."),
]
Count = Annotated[int, Field(ge=0)]
MOST_SKUS = 1000
MOST_SUGGESTIONS = 8


class Filters(BaseModel):
    """Which products are wanted."""

    q: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=200,
            pattern=NO_NUL,
            description="Words to find, as in a search engine: quotes, `or` and `-` work.",
            examples=["red lantern"],
        ),
    ] = None
    category: Category | None = None
    price_min: Price | None = None
    price_max: Price | None = None
    in_stock: bool | None = None

    @property
    def has_prices(self) -> bool:
        return self.price_min is not None or self.price_max is not None


class ListParameters(Filters):
    """The query parameters of the list."""

    sku: Annotated[
        list[Sku],
        Field(
            max_length=MOST_SKUS,
            description="Only these products, retired ones included; unknown ones are left out. "
            "Cannot be combined with other filters.",
        ),
    ] = []
    sort: Annotated[Sort | None, Field(description="Default: by name, a search by relevance.")] = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    # Longer than the cursor after a product with the longest name in the longest characters.
    cursor: Annotated[str | None, Field(max_length=2000, description="From the `next` of a page.")] = None
    status: Annotated[Status | None, Field(description="`retired` is for administrators.")] = None

    @property
    def order(self) -> Sort:
        return self.sort or ("name" if self.q is None else "relevance")


class ProductPage(BaseModel):
    """A page of products."""

    items: list[ListedProduct]
    next: Annotated[
        str | None,
        Field(
            description="The next page's path and query; null on the last one. "
            "A page before it may have fewer products than `limit`."
        ),
    ]
    corrected: Corrected


class SuggestionParameters(BaseModel):
    """The query parameters of suggestions."""

    q: Annotated[
        str,
        Field(
            min_length=1,
            max_length=80,
            pattern=NO_NUL,
            description="What is typed so far: the last word may be incomplete.",
            examples=["red lant"],
        ),
    ]


class Suggestions(BaseModel):
    """Products that a shopper may be typing the name of."""

    items: Annotated[list[ListedProduct], Field(max_length=MOST_SUGGESTIONS, description="The best first.")]
    corrected: Corrected


class CategoryInList(BaseModel):
    """A category of products for sale."""

    category: Category
    count: Annotated[int, Field(ge=1, description="Products for sale, in stock or not.")]
    picture: Annotated[Picture | None, Field(description="The picture of one of its products.")]


class CategoryList(BaseModel):
    """The categories of all products for sale."""

    items: Annotated[list[CategoryInList], Field(description="By name.")]


class CategoryCount(BaseModel):
    """How many of the products are in a category."""

    category: Category
    count: Count


class PriceRange(BaseModel):
    """How many of the products cost between `price_min` and `price_max`, both included; as filters they list
    these products."""

    price_min: Price | None
    price_max: Price | None
    count: Count


class Facets(BaseModel):
    """How many products each value of a filter would list. Each facet is counted with all filters but its
    own."""

    total: Annotated[Count, Field(description="Counted with all filters.")]
    categories: Annotated[list[CategoryCount], Field(description="The largest first, at most 100.")]
    currency: Annotated[
        str | None,
        Field(description="The commonest currency of the catalogue, for which the ranges are made."),
    ]
    prices: Annotated[list[PriceRange], Field(description="Ascending, without gaps.")]
    in_stock: Count
    out_of_stock: Count
    capped: Annotated[
        bool, Field(description="The search has more matches than were counted: the counts are minima.")
    ]
    corrected: Corrected
