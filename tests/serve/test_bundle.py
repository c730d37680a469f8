"""The joined files: what they hold, and what a developer is told who writes another form."""

import pytest

from monitor.serve.bundle import join_modules, join_sheets

MODULES = {
    "js/main.js": 'import { one } from "./a.js";\nimport {\n  two,\n} from "./b/b.js";\nsay(one, two);\n',
    "js/a.js": "/** Says\n * one. */\n\n// not here\nexport const one = 1; // not kept\nconst own = 0;\n",
    "js/b/b.js": 'import { one } from "../a.js";\nexport function two() {\n  return one + 1;\n}\n',
}


def test_modules_stand_once_behind_what_they_import() -> None:
    assert join_modules("js/main.js", MODULES) == (
        "const one=1;\nconst own=0;function two(){return one+1}say(one,two);"
    )


@pytest.mark.parametrize(
    ("source", "joined"),
    [
        ('say("a, (b)  // c", `d ${e && `f, g`} , h`);', 'say("a, (b)  // c",`d ${e && `f, g`} , h`);'),
        ("const found = /^( %)? \\/\\/ ,$/.test(a);", "const found=/^( %)? \\/\\/ ,$/.test(a);"),
        ("const half = (a - 1) / (b + +c); // as a / b", "const half=(a-1)/(b + +c);"),
        ("f(() => {\n  a();\n  b();\n});\nc();", "f(()=>{a();b()});c();"),
        (
            'class A {\n  #a = "\\"; b";\n  #b() {}\n}\nconst c = {}',
            'class A{#a="\\"; b";#b(){}}const c={}',
        ),
    ],
)
def test_gaps_are_left_out_but_in_texts(source: str, joined: str) -> None:
    assert join_modules("js/main.js", {"js/main.js": source}) == joined


def test_private_names_are_a_letter_wherever_they_stand_and_other_texts_stay() -> None:
    source = (
        'class A {\n  #first = "#first";\n  get #second() {\n    return `#first ${this.#first}`;\n  }\n'
        "  async #third(other) {\n    return other?.#second;\n  }\n}\n"
    )
    assert join_modules("js/main.js", {"js/main.js": source}) == (
        'class A{#a="#first";get #b(){return `#first ${this.#a}`}async #c(other){return other?.#b}}'
    )


def test_constants_are_a_letter_in_all_modules_and_words_like_them_stay() -> None:
    modules = {
        "js/main.js": 'import { MOST } from "./a.js";\n'
        'say(MOST, `${MOST} MOSTLY`, "MOST", other.MOST, ...MOST);\n',
        "js/a.js": "export const MOST = 7;\n",
    }
    assert join_modules("js/main.js", modules) == (
        'const $a=7;say($a,`${$a} MOSTLY`,"MOST",other.MOST,...$a);'
    )


def test_name_that_two_modules_declare_is_named() -> None:
    again = MODULES["js/b/b.js"] + "const own = 1;\n"
    with pytest.raises(ValueError, match=r"js/b/b\.js can't be joined: js/a\.js declares own too"):
        join_modules("js/main.js", {**MODULES, "js/b/b.js": again})


def test_sheets_stand_in_the_order_of_their_imports() -> None:
    sheets = {
        "css/main.css": '@import "../vendor/v.css";\n@import "a.css";\n',
        "css/a.css": "/* The\n   a. */\na > :is(b, i) {\n  color: red;\n}\n",
        "vendor/v.css": ".v{}",
    }
    assert join_sheets("css/main.css", sheets) == ".v{}a>:is(b,i){color:red}"


@pytest.mark.parametrize(
    "line",
    [
        'import "./a.js";',
        'import a from "./a.js";',
        "export default 1;",
        "export { a };",
        'go(await import("./a.js"));',
    ],
)
def test_a_form_that_is_not_known_is_named(line: str) -> None:
    with pytest.raises(ValueError, match="can't be joined") as refused:
        join_modules("js/main.js", {"js/main.js": line, "js/a.js": ""})
    assert line in str(refused.value)


def test_a_missing_module_and_a_circle_are_named() -> None:
    with pytest.raises(ValueError, match=r"a\.js imports b\.js, which is not there"):
        join_modules("a.js", {"a.js": 'import { b } from "./b.js";'})
    circle = {"a.js": 'import { b } from "./b.js";', "b.js": 'import { a } from "./a.js";'}
    with pytest.raises(ValueError, match=r"a\.js imports itself, by way of b\.js"):
        join_modules("a.js", circle)
