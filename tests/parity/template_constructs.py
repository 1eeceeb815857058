"""Small templates, one for each construct, and drawn ones."""
import random

VARIABLES = {
    "messages": [{"role": "user", "content": "  Hi <there>\n"}, {"role": "assistant", "content": "Yo"}],
    "text": "a-b c\u00e9\u65e5 <x>", "lines": "one\n\n  two\r\nthree", "number": 7, "negative": -7, "real": 2.5,
    "yes": True, "nothing": None, "words": ["pear", "Apple", "fig", "apple"], "numbers": [3, 1, 2, 2],
    "people": [{"name": "Bo", "age": 3, "tags": ["x"]}, {"name": "al", "age": 1}, {"name": "Cy", "age": 2, "on": True}],
    "tree": {"v": 1, "kids": [{"v": 2, "kids": []}, {"v": 3, "kids": [{"v": 4, "kids": []}]}]},
    "map": {"b": 1, "a": [1, "x", None, True, 2.0, {"k": "\u00fc\"\\\n\x01\u2028"}], "C": {}, "items": "mine"},
    "empty": [], "add_generation_prompt": True, "bos_token": "<s>",
}

EXPRESSIONS = r"""
text
text|length
text[0] ~ text[-1] ~ text[1:3] ~ text[::-1] ~ text[-3:] ~ text[:2] ~ text[5:1:-2]
lines.splitlines()
lines.splitlines(true)
lines|indent
lines|indent(2, true)
lines|indent('> ', blank=true)
'%s and %d, %5.1f|%-4s|%04d%%' % ('x', 3, 2.25, 'ab', 42)
'{} {1}'.format('a')
'{} {} {n:>4}|{0!r}'.format('a', 2, n='z') if false else '{0} {1} {n:>4}|{0!r}'.format('a', 2, n='z')
'{:05d}|{:<4}|{:^6}|{:.2f}'.format(42, 'ab', 'mid', 3.14159)
'a' 'b' "c"
'tab\there\\ \x41 \u00e9 \101 \q \'quote\''
"\é"
1 + 2 * 3 - 4 / 2
7 // 2 ~ ' ' ~ -7 // 2 ~ ' ' ~ 7 % -3 ~ ' ' ~ -7 % 3 ~ ' ' ~ 2 ** 10 ~ ' ' ~ 2 ** -1
1e3 ~ ' ' ~ 1.0 ~ ' ' ~ 1e16 ~ ' ' ~ 1.5e-5 ~ ' ' ~ 123456789.125 ~ ' ' ~ 0.1 + 0.2
0x1F ~ ' ' ~ 0b11 ~ ' ' ~ 0o17 ~ ' ' ~ 1_000
7.5 // 2 ~ ' ' ~ -7.5 % 2 ~ ' ' ~ 1 / 3
-2 ** 2
- 3 | abs
-number|abs
real|round ~ ' ' ~ 2.675|round(2) ~ ' ' ~ 3.2|round(0, 'ceil') ~ ' ' ~ 3.7|round(method='floor')
1 < 2 < 3 ~ ''
1 == 1.0 ~ ''
(1 == true) ~ (1 == '1') ~ ('a' < 'b') ~ ([1, 2] < [1, 3]) ~ ((1,) == [1])
'x' in text
'a' in map and 'zz' not in map and 3 in numbers
not yes or nothing
yes and 'a' or 'b'
nothing or empty or 0 or 'last'
'a' if yes else 'b'
'a' if nothing
('a' if nothing else none) is none
missing
missing is defined
missing|default('d') ~ (nothing|default('d')) ~ (nothing|default('d', true)) ~ (''|d('e', boolean=true))
missing|length
missing|list
missing == missing2
missing.attribute
missing + 1
missing['x']
missing()
map.missing is defined
map.missing.deeper
map['b'] ~ map.b ~ map.get('b') ~ map.get('q') ~ map.get('q', 'dd')
map.items is callable
map['items']
map.items()|list
map|items|list
map.keys()|list ~ map.values()|list|length
map
map|tojson
map|tojson(indent=2)
map|tojson(indent=4, sort_keys=true) ~ map|tojson(separators=(',', ':')) ~ map|tojson(ensure_ascii=true)
[]|tojson(indent=2) ~ {}|tojson(indent=1) ~ [[]]|tojson(indent=1)
(1, 'a')|tojson ~ 1e20|tojson ~ {1: 2, none: 3, true: 4}|tojson
text|tojson ~ nothing|tojson ~ yes|tojson ~ real|tojson
missing|tojson
[1, 'a', none, true, 1.5, (1,), (), {'k': 'v'}]
'it\'s' ~ ['it\'s', "say \"x\"", 'both\'"', 'new\nline', '\u00e9\u200b\x00']
words|join ~ words|join(', ') ~ people|join('-', attribute='name') ~ numbers|join('+')
words|sort
words|sort(reverse=true, case_sensitive=true)
people|sort(attribute='age')|map(attribute='name')|list
people|sort(attribute='name,age')|map(attribute='name')|join
numbers|sort|unique|list
words|unique|list ~ words|unique(true)|list
map|dictsort
map|dictsort(true, 'key', true)
words|map('upper')|list ~ words|map('replace', 'p', 'b')|join(' ')
people|map(attribute='tags', default='none')|list
people|map(attribute='tags.0')|list
people|selectattr('on')|list|length
people|selectattr('age', '>', 1)|map(attribute='name')|list
people|rejectattr('name', 'equalto', 'Bo')|list|length
people|selectattr('tags', 'defined')|first
numbers|select('odd')|list ~ numbers|reject('divisibleby', 2)|list ~ numbers|select|list
numbers|select('in', [1, 2])|list
words|first ~ words|last ~ (empty|first is defined) ~ 'xyz'|first ~ 'xyz'|last
numbers|sum ~ people|sum(attribute='age') ~ numbers|min ~ numbers|max ~ words|min ~ people|max(attribute='age')
numbers|reverse|list ~ 'abc'|reverse
numbers|batch(3)|list ~ numbers|batch(3, 'z')|list ~ numbers|slice(3)|list
'  x y '|trim ~ '|' ~ 'xxaxx'|trim('x') ~ '|' ~ ' a '.strip() ~ ' a '.lstrip() ~ 'ba'.rstrip('a')
'hello wORLD foo-bar'|title ~ 'hello wORLD'|capitalize ~ 'aBc'|upper ~ 'aBc'|lower
'hello wORLD it\'s'.title() ~ 'aBC'.capitalize() ~ 'abc'.upper() ~ 'ABC'.lower()
'ÀÉî ж'|upper ~ 'ÀÉî Ж'|lower
'a,b,,c'.split(',') ~ ' a  b '.split() ~ 'a,b,c'.split(',', 1) ~ 'a,b,c'.rsplit(',', 1) ~ ' a b c '.rsplit(None, 1)
'a b  c'.split(maxsplit=1) ~ ' a b c '.split(none, 1) ~ ' a  b c '.rsplit(none, 1) ~ ' a '.split(none, 0)
''.split() ~ ''.split(',') ~ 'x'.split('')
'abcabc'.replace('b', 'X') ~ 'abcabc'.replace('b', 'X', 1) ~ 'abc'.replace('', '-') ~ 'abc'|replace('b', 1)
'aaa'|replace('a', 'b', 2) ~ 5|replace(5, 'x')
'abc'.startswith('a') ~ 'abc'.startswith(('x', 'ab')) ~ 'abc'.endswith('bc') ~ 'abc'.startswith('b', 1)
'abcb'.find('b') ~ 'abcb'.rfind('b') ~ 'abc'.find('z') ~ 'ab\u65e5b'.find('b', 2) ~ 'abab'.count('ab')
'abc'.index('z')
'a=b=c'.partition('=') ~ 'a=b=c'.rpartition('=') ~ 'abc'.partition('-')
'ab'.ljust(4) ~ '|' ~ 'ab'.rjust(4, '*') ~ '|' ~ 'ab'.center(5) ~ '|' ~ '7'.zfill(3) ~ '-7'.zfill(4) ~ 'ab'|center(7)
'x'.join(['a', 'b']) ~ '12'.isdigit() ~ 'a1'.isalnum() ~ 'ab'.isalpha() ~ ' '.isspace() ~ 'AB'.isupper() ~ ''.isdigit()
'prefix-x'.removeprefix('prefix-') ~ 'x.py'.removesuffix('.py')
'abc'.nothing is defined
'7'|int ~ ' -8 '|int ~ 'x'|int ~ 'x'|int(5) ~ '3.9'|int ~ 3.9|int ~ '0x1f'|int(base=16) ~ none|int ~ true|int ~ '1_0'|int
'7.5'|float ~ 'x'|float ~ 3|float ~ 'x'|float(1.5) ~ '1e3'|float ~ 'inf'|float
7|string ~ none|string ~ [1]|string ~ 'a'|string
'<a & "b">'|escape ~ '<a>'|e
'<a>'|safe ~ '<b>'
('<a>'|safe) + '<b>'
('<a>'|safe|upper) + '<b>'
'<x>' + ('<a>'|safe)
'The quick brown fox jumps'|truncate(12) ~ 'The quick brown fox'|truncate(9, true, '..', 0) ~ 'short'|truncate
'%s-%s'|format('a', 2)
range(3)|list ~ range(1, 4)|list ~ range(5, 0, -2)|list ~ (range(3)|length) ~ range(4)[1]
range(100001)
dict(a=1, b=2) ~ dict([('x', 1)]) ~ dict({'y': 2}, z=3)
{'a': 1, 'a': 2} ~ {1: 'x', 1.0: 'y'}
[1, 2] + [3] ~ [0] * 3 ~ 'ab' * 2 ~ 2 * 'x' ~ (1,) + (2,)
'a' + 1
[1] + (2,)
1 + none
nothing.x is defined
number.x is defined
words[10] is defined ~ words[-1] ~ words[1:] ~ words[::2]
words['0'] is defined ~ words.0 ~ words.nope is defined
words.append('x')
map.update({})
map.pop is defined
''.__class__
''.__class__ is defined
yes is true ~ (1 is true) ~ (false is false) ~ (none is none) ~ (yes is boolean) ~ (1 is boolean)
1 is number ~ (1.5 is float) ~ (1 is integer) ~ (true is integer) ~ (true is number) ~ ('1' is number)
'a' is string ~ ([] is sequence) ~ ({} is sequence) ~ ('a' is sequence) ~ (1 is sequence) ~ (missing is sequence)
{} is mapping ~ ([] is mapping) ~ ([] is iterable) ~ ('a' is iterable) ~ (1 is iterable) ~ (none is iterable)
3 is odd ~ (4 is even) ~ (6 is divisibleby 3) ~ (6 is divisibleby(4)) ~ (1 is eq 1) ~ (1 is lt 2) ~ (2 is ge(3))
'ab' is lower ~ ('AB' is upper) ~ ('a' is in 'abc') ~ ('a' is in(['b'])) ~ (range is callable) ~ (1 is callable)
'upper' is filter ~ ('nope' is filter) ~ ('odd' is test)
none is sameas none ~ (true is sameas true) ~ (true is sameas 1)
1 is not string and not 1 is string
text is string is string
1|unknown
1 if false else 2|unknown
1 is unknown
'x' if yes else 1|unknown
loop is defined
namespace(a=1).a ~ (namespace() is defined)
raise_exception('no ' ~ text)
strftime_now('%Y-%m-%d %H:%M:%S %d %b %Y %A %B %j %%')
none ~ true ~ 1.0 ~ [] ~ ()
1 ~ 'a' ~ 2.50
(1, 2)[0] ~ ((1)) ~ (1,)|length
messages[0]['content']|trim ~ messages[-1].role ~ messages|length ~ (messages|last).content
messages|map(attribute='role')|join(',')|upper
messages[1:]|length ~ messages[:-1]|length ~ messages[5:]|length
messages[missing:]
{'a': {'b': [1, {'c': 'deep'}]}}.a.b[1].c
[[1, 2], [3]]|map('length')|list ~ [[2, 1]]|map('sort')|list
'a\u00a0b\u3000'.split() ~ '\u00a0x\u200b'|trim
[none, 1]|map('default', 'x', true)|list
numbers|map('string')|join ~ numbers|map('float')|list
'x' is defined and 'y'
(none).x.y
1.5.x is defined
'a'.b('c')
{'f': 1}.f()
words|groupby('x')
true + true ~ -true ~ +true ~ true * 3 ~ true / 2
9223372036854775807 ~ -9223372036854775807
1 // 0
1.0 % 0
'a' < 1
none < 1
[3, 'a']|sort
missing < 1
{} < {}
[1] in [[1], 2]
[1] in {}
{[1]: 2}
1 in 'abc'
'x' in missing
missing in [1]
missing in 'abc'
1 in 5
range(2) == range(2)
'{a.b[0]}'.format(a={'b': [7]})
'{x}'.format(y=1)
'{} {}'.format(1)
'{{}}{}'.format(1)
'%d' % 'x'
'%s' % missing
'%s %s' % 'a'
'%s' % [1, 2]
""".strip("\n").split("\n")

STATEMENTS = [
    "a\n{% if yes %}\n  b\n{% endif %}\nc\n", "a\n  {%+ if yes %}b{% endif +%}\nc", "x {%- if yes -%}  y  {%- endif -%}  z",
    "{# comment #}a{#- b -#}  c\n  {# d #}\ne", "  {{ 1 }}\n  {{- 2 -}}  \n 3", "{% raw %}{{ x }}{% if %}{% endraw %}!",
    "a {%- raw -%}  b {{ }} {%- endraw -%}  c", "  {% raw %}\n x\n  {% endraw %}\ny", "a\r\nb\rc\n\n", "\n\n", "",
    "{% for x in numbers %}{{ x }}{% if not loop.last %}, {% endif %}{% endfor %}",
    "{% for x in numbers %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}"
    "{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.cycle('a', 'b') }};{% endfor %}",
    "{% for x in numbers %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }} {{ loop.changed(x) }}{% endfor %}",
    "{% for x in numbers if x > 1 %}{{ x }}{{ loop.length }}{{ loop.last }}{% else %}none{% endfor %}",
    "{% for x in numbers if x > 5 %}{{ x }}{% else %}none{% endfor %}",
    "{% for x in numbers if x > 1 %}{{ x }}{{ loop.last }}{{ loop.nextitem }}{% endfor %}",
    "{% for a, b in map.items() %}{{ a }}={{ b }};{% endfor %}", "{% for k in map %}{{ k }}{% endfor %}",
    "{% for a, b in [(1, 2), [3, 4], 'xy'] %}{{ a }}{{ b }}{% endfor %}", "{% for a, b in [1] %}{% endfor %}",
    "{% for c in text %}[{{ c }}]{% endfor %}", "{% for x in missing %}{% else %}e{% endfor %}",
    "{% for x in number %}{% endfor %}", "{% for x in nothing %}{% endfor %}",
    "{% for x in numbers %}{% if x == 1 %}{% continue %}{% endif %}{% if x == 2 %}{% break %}{% endif %}{{ x }}{% endfor %}",
    "{% for n in [tree] recursive %}{{ n.v }}{{ loop.depth }}({{ loop(n.kids) }}){% endfor %}",
    "{% for n in [1] %}{{ loop([2]) }}{% endfor %}",
    "{% set x = 1 %}{% for i in numbers %}{% set x = x + i %}{{ x }} {% endfor %}{{ x }}",
    "{% set ns = namespace(n=0, s='') %}{% for i in numbers %}{% set ns.n = ns.n + i %}{% set ns.s = ns.s ~ i %}{% endfor %}"
    "{{ ns.n }}{{ ns.s }}{{ ns.q is defined }}",
    "{% set ns = namespace() %}{% set ns._x = 1 %}", "{% set map.x = 1 %}", "{% set number.x = 1 %}",
    "{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set t = 1, %}{{ t }}", "{% set a, b = [1] %}",
    "{% set x %}\n  body {{ number }}\n{% endset %}[{{ x }}]{{ x is string }}", "{% set x | upper | trim %} abc {% endset %}[{{ x }}]",
    "{% if missing %}a{% elif nothing %}b{% elif number %}c{% else %}d{% endif %}", "{% if 1, %}t{% endif %}",
    "{% if yes %}{% set z = 5 %}{% endif %}{{ z }}", "{% with a=1, b=2 %}{{ a }}{{ b }}{% endwith %}{{ a }}",
    "{% set a = 7 %}{% with a=1, b=a %}{{ a }}{{ b }}{% endwith %}", "{% with %}{% set q = 1 %}{{ q }}{% endwith %}{{ q }}",
    "{% macro f(a, b='d', c=a) %}{{ a }}{{ b }}{{ c }};{% endmacro %}{{ f(1) }}{{ f(1, 2) }}{{ f(b=3, a=4) }}{{ f() }}",
    "{% macro f(a) %}x{% endmacro %}{{ f(1, 2) }}", "{% macro f(a) %}x{% endmacro %}{{ f(b=2) }}",
    "{% macro f() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1, 2, k=3) }}",
    "{% macro f(a) %}{{ a }}{{ caller() }}{% endmacro %}{% call f('x') %}body {{ number }}{% endcall %}",
    "{% macro f() %}{{ caller(1, 2) }}{% endmacro %}{% call(a, b=3) f() %}{{ a }}-{{ b }}{% endcall %}",
    "{% macro f() %}{{ caller }}{% endmacro %}{{ f() }}", "{% macro f(n) %}{{ n }}{% if n %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }}",
    "{% macro f() %}{{ x }}{% endmacro %}{% set x = 3 %}{{ f() }}", "{% for i in numbers %}{% macro g() %}{{ i }}{% endmacro %}{{ g() }}{% endfor %}",
    "{% macro f() %}{{ i }}{% endmacro %}{% for i in numbers %}{{ f() }}{% endfor %}", "{% macro f() %}  a\n{% endmacro %}[{{ f() | trim }}]{{ f.name }}",
    "{% macro f(x) %}{% set x = 9 %}{{ x }}{% endmacro %}{% set x = 1 %}{{ f(2) }}{{ x }}", "{{ f() }}{% macro f() %}1{% endmacro %}",
    "{% macro f() %}{% break %}{% endmacro %}", "{% break %}", "{% for x in numbers %}{% else %}{% break %}{% endfor %}",
    "{% filter upper %}abc {{ text }}{% endfilter %}", "{% filter replace('a', 'b') | trim %} abc {% endfilter %}|",
    "{% generation %}abc{% endgeneration %}d{% generation %}{{ text }}{% endgeneration %}",
    "{% for m in messages %}{{ m.role }}{% generation %}{{ m.content }}{% endgeneration %}\n{% endfor %}",
    "{% generation %}{% set q = 1 %}{% endgeneration %}{{ q }}", "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.reset() }}{{ c.next() }}",
    "{% set j = joiner(', ') %}{% for x in numbers %}{{ j() }}{{ x }}{% endfor %}", "{% do 1 %}", "{% unknown %}", "{% if %}", "{% endif %}",
    "{% if yes %}", "{{ 1", "{{ 1 }", "{% for x numbers %}{% endfor %}", "{{ }}", "{{ 'open }}", "{{ (1 }}", "{{ 1) }}", "{{ {'a': {'b': 1}}.a.b }}",
    "{{ [1, 2, ] }}{{ {'a': 1, } }}", "{# open", "{% raw %}x", "{{ f(a=1, 2) }}", "{{ range(*[1, 3])|list }}{{ dict(**{'a': 1}) }}",
    "{% set loop = 1 %}{{ loop }}", "{% for loop in [1] %}{% endfor %}", "{% for x in [1, 2] %}{% for y in [3] %}{{ loop.index }}{% endfor %}{{ loop.index }}{% endfor %}",
    "{% for x in [3, 4] %}{% set outer = loop %}{% for y in [5] %}{{ outer.index }}{% endfor %}{% endfor %}", "{% set true = 1 %}", "{% set x.y.z = 1 %}",
    "{% if false %}{{ 1|unknown }}{% endif %}ok", "{% if true %}{{ 1|unknown }}{% endif %}", "{% set g = people|map(attribute='name') %}{{ g|join }}{{ g|join }}",
    "{% set g = numbers|select('odd') %}{{ 1 in g }}{{ g|list }}", "{{ loop.x }}", 
    "a{{ '\n' }}b\n\n{{ 'x' }}\n", "  {%- if yes %}\n   x\n  {%- endif %}\n", "{% if yes -%}\n   x\n{%- endif %}", "\t {% if yes %} \t\n{% endif %}x",
    "a  {% if yes %}b{% endif %}", "{{ 'a' }}  {% if yes %}b{% endif %}\n  c", "{%if yes%}x{%endif%}", "{{1}}{{-1}}{{ - 1 }}",
    "{{ 1 -}}\n\n x {{- 2 }}", "{{ {'a':1}['a'] }}", "{{ '}}' }}{{ \"%}\" }}", "{% set x = '%}' %}{{ x }}", "{{ 'a'~1~none }}", "{{ 1if yes else 2 }}",
    "{% for i in range(3) %}{{ i }}{% endfor %}{{ i }}", "{% set x = [] %}{% set x = x + [1] %}{{ x }}", "{%- for m in messages -%}\n {{ m.role }}\n{%- endfor -%}\n",
    "{% macro m(x) -%}\n {{ x }}\n{%- endmacro %}{{ m('a') }}{{ m('b') }}", "{{ messages.0.role }}{{ messages.0['role'] }}{{ messages[0]['role'][0] }}",
    "{% include 'x' %}", 
    "{% macro a(x) %}{{ b(x) }}{% endmacro %}{% macro b(x) %}[{{ x }}]{% endmacro %}{{ a(1) }}", "{{ x.y.z is defined }}",
    "{% set ns = namespace(items=[]) %}{% set ns.items = ns.items + [1] %}{{ ns.items }}{{ ns['items'] }}", 
    "{% for x in [1, 2, 3] %}{% if loop.index0 % 2 == 0 %}{{ x }}{% endif %}{% endfor %}", "{% for i in [[1, [2, 3]]] %}{% set a, (b, c) = i %}{{ a + b + c }}{% endfor %}",
    "{% if messages[0].role == 'user' and messages[0].content is string and not (messages[0].tool_calls is defined and messages[0].tool_calls) %}y{% endif %}",
    "{% set first, rest = messages[0], messages[1:] %}{{ first.role }}{{ rest|length }}", "{{ raise_exception('System role not supported') }}",
    "{% set x = 1 if yes else 2 %}{{ x }}{{ 'a' if yes else 'b' ~ 'c' }}", "{{ not yes }}{{ not not yes }}{{ not 1 == 2 }}", "{{ yes is not none and text is string or false }}",
]


# What Jinja2 carries out and dashf refuses, and what it says.
REFUSED = {
    "{{ [1]|attr('x') }}": "the filter 'attr' is not supported",
    "\n{{ ''|wordcount }}": "the filter 'wordcount' is not supported",
    "{% if yes %}\n\n{{ ''|pprint }}{% endif %}": "the filter 'pprint' is not supported",
    "{{ 10 ** 20 }}": "an integer does not fit 64 bits",
    "{{ 9223372036854775807 + 1 }}": "an integer does not fit 64 bits",
    "{{ 'a'.format_map({}) }}": "the method 'format_map' of str is not supported",
    "{{ 'stra\u00dfe'|upper }}": "changing the case of U+00DF is not supported",
    "{% for m in messages %}{{ loop }}{% endfor %}": "printing a LoopContext is not supported",
    "{{ self }}": "the name 'self' is not supported",
    "{{ text.upper }}": "printing a function is not supported",
    "{% print 1 %}": "the tag 'print' is not supported",
    "{% block a %}{% endblock %}": "the tag 'block' is not supported",
    "{% autoescape true %}{% endautoescape %}": "the tag 'autoescape' is not supported",
    "{{ lipsum() }}": "the function 'lipsum' is not supported",
    "{{ '\\ud800' }}": "a string holds an escape that is no character",
    "{{ namespace(a=1) }}": "printing a Namespace is not supported",
    "{{ map['b', 'a'] }}": "several subscripts are not supported",
    "{% macro f() %}{% generation %}{% endgeneration %}{% endmacro %}{{ f() }}":
        "{% generation %} within a macro or a captured block is not supported",
}


def all_templates():
    return ["{{ " + expression + " }}" for expression in EXPRESSIONS] + STATEMENTS


PIECES = ["{{", "}}", "{%", "%}", "{#", "#}", "-", "+", " ", "\n", "  \n", "if", "else", "endif", "for", "x", "in", "numbers", "endfor",
          "set", "=", "1", "text", "|", "upper", "length", "'a'", "(", ")", "[", "]", ".", ",", ":", "is", "not", "defined", "~", "raw",
          "endraw", "loop.index", "messages", "role", "{% if yes %}", "{% endif %}", "{{ number }}", "{%- for x in numbers %}", "{% endfor %}",
          "{{ x }}", " \t", "{% raw %}", "{% endraw %}", "{%- endif -%}", "*", "2", "trim", "map", "data"]


def drawn(seed, count):
    """Sequences of pieces of the language, most of them broken."""
    rng = random.Random(seed)
    return ["".join(rng.choice(PIECES) for _ in range(rng.randint(1, 12))) for _ in range(count)]
