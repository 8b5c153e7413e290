"""Renders chat templates and small snippets with transformers' own Jinja environment.

    python make_golden.py        # transformers==5.23.0, jinja2==3.1.6

Writes golden.json: templates by name, and cases [template, variables, rendering or error].
The templates are those that the models' repositories publish.
"""
import json, os

import jinja2, transformers
from transformers.utils.chat_template_utils import _compile_jinja_template, render_jinja_template

assert transformers.__version__ == "5.23.0" and jinja2.__version__ == "3.1.6"
HERE = os.path.dirname(os.path.abspath(__file__))

LLAVA = ("{% for message in messages %}{% if message['role'] != 'system' %}{{ message['role'].upper() + ': '}}{% endif %}"
         "{# Render all images first #}{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\\n' }}{% endfor %}"
         "{# Render all text next #}{% if message['role'] != 'assistant' %}{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
         "{{ content['text'] + ' '}}{% endfor %}{% else %}{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{% generation %}"
         "{{ content['text'] + ' '}}{% endgeneration %}{% endfor %}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}")
VICUNA = LLAVA.replace("{% if message['role'] != 'system' %}{{ message['role'].upper() + ': '}}{% endif %}",
                       "{% if message['role'] == 'system' %}{{ message['content'][0]['text'] }}{% else %}{{ message['role'].upper() + ': '}}{% endif %}", 1)
MISTRAL = ("{% for message in messages %}{% if message['role'] == 'system' %}{{ '<<SYS>>\\n' + message['content'][0]['text'] + '\\n<</SYS>>\\n\\n' }}"
           "{% elif message['role'] == 'user' %}{{ '[INST] ' }}{# Render all images first #}{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}"
           "{{ '<image>\\n' }}{% endfor %}{# Render all text next #}{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{{ content['text'] }}{% endfor %}"
           "{{' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' ' + message['content'][0]['text'] + '</s> '}}{% else %}"
           "{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}")
QWEN2VL = ("{% set image_count = namespace(value=0) %}{% set video_count = namespace(value=0) %}{% for message in messages %}{% if loop.first and message['role'] != 'system' %}"
           "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}<|im_start|>{{ message['role'] }}\n{% if message['content'] is string %}{{ message['content'] }}<|im_end|>\n"
           "{% else %}{% for content in message['content'] %}{% if content['type'] == 'image' or 'image' in content or 'image_url' in content %}{% set image_count.value = image_count.value + 1 %}"
           "{% if add_vision_id %}Picture {{ image_count.value }}: {% endif %}<|vision_start|><|image_pad|><|vision_end|>{% elif content['type'] == 'video' or 'video' in content %}"
           "{% set video_count.value = video_count.value + 1 %}{% if add_vision_id %}Video {{ video_count.value }}: {% endif %}<|vision_start|><|video_pad|><|vision_end|>"
           "{% elif 'text' in content %}{{ content['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")
SMOLVLM = ("<|im_start|>{% for message in messages %}{{message['role'] | capitalize}}{% if message['content'][0]['type'] == 'image' %}{{':'}}{% else %}{{': '}}{% endif %}"
           "{% for line in message['content'] %}{% if line['type'] == 'text' %}{{line['text']}}{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\n"
           "{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}")
# In the style of Llama 3.x and Qwen 2.5: everything that templates use besides the above.
TOOLS = """{{- bos_token }}
{%- if not date_string is defined %}
    {%- set date_string = "26 Jul 2024" %}
{%- endif %}
{%- macro header(role, extra='') -%}
<|{{ role }}{{ extra }}|>
{%- endmacro %}

{#- This block extracts the system message #}
{%- if messages[0]['role'] == 'system' %}
    {%- if messages[0]['content'] is string %}
        {%- set system_message = messages[0]['content'] | trim %}
    {%- else %}
        {%- set system_message = messages[0]['content'][0]['text']|trim %}
    {%- endif %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- header('system') + "\\n\\nToday Date: " + date_string + "\\n" }}
{%- if tools is not none and tools %}
    {%- for tool in tools %}
        {{- tool | tojson(indent=4) }}
        {{- "\\n" ~ (tool|tojson) ~ "\\n" }}
    {%- endfor %}
{%- endif %}
{{- system_message }}
{%- set ns = namespace(last=messages|length - 1, multi=true) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi and message.role == "user" and not(message.content is string and message.content.startswith('<tool>') and message.content.endswith('</tool>')) %}
        {%- set ns.multi = false %}
        {%- set ns.last = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- header(message['role'], extra=loop.index0 if loop.index0 > ns.last else '') }}
        {%- for part in ([{'type': 'text', 'text': message.content}] if message.content is string else message.content) %}
            {%- if part.type == 'image' %}<image>{%- else %}{{ part.text | trim }}{%- endif %}
        {%- endfor %}
    {%- elif message.role == 'assistant' %}
        {%- set content = message.content if message.content is string else message.content|map(attribute='text')|join(', ') %}
        {%- if '</think>' in content %}
            {%- set reasoning = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
            {{- '(' + reasoning + ')' }}
        {%- endif %}
        {{- header('assistant') ~ content }}
        {%- if loop.last or (not loop.last and reasoning) %}!{% endif %}
    {%- else %}
        {{- raise_exception("Unknown role: " ~ message.role) }}
    {%- endif %}
    {%- if not loop.last %}{{ ' ' ~ loop.index ~ '/' ~ loop.length }}
{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- header('assistant') }}
{%- endif %}
"""
TEMPLATES = {"llava": LLAVA, "llava-next-vicuna": VICUNA, "llava-next-mistral": MISTRAL, "qwen2-vl": QWEN2VL, "smolvlm": SMOLVLM, "tools": TOOLS}

T = lambda s: {"type": "text", "text": s}
IMG = {"type": "image"}
CHATS = [
    [{"role": "user", "content": [IMG, T("Describe the image.")]}],
    [{"role": "user", "content": [T("What is  this?\n"), IMG, T("Modality: CT.")]}],
    [{"role": "system", "content": [T(" Be brief. ")]}, {"role": "user", "content": [IMG, IMG, T("Compare <b>&amp; 'these' \"two\".")]},
     {"role": "assistant", "content": [T("Left: CT; right: MRI.")]}, {"role": "user", "content": [T("Größe? 3 µm — 日本")]}],
    [{"role": "user", "content": [IMG, T("a")]}, {"role": "assistant", "content": [T("b")]}],
    [{"role": "judge", "content": [T("no such role")]}],
    [{"role": "user", "content": "plain text"}, {"role": "assistant", "content": "<think>\nhm\n</think>\n\nyes"}, {"role": "user", "content": "<tool>1</tool>"}],
]
TOOL = [{"type": "function", "function": {"name": "measure", "description": "size of <a> & b, é", "parameters": {"n": 1, "f": 2.5, "t": True, "z": None, "l": [1, [], {}]}}}]

X = {"s": " Hello wOrld ", "n": 7, "f": 2.5, "l": [3, 1, 2], "e": [], "d": {"a": 1, "b": [1, 2]}, "w": ["b", "A", "c"],
     "items": [{"k": "x", "v": 2, "on": True}, {"k": "y", "v": 1, "on": False}, {"k": "x", "v": 3}], "t": True, "z": None, "u": "éß日"}
SNIPPETS = r"""
{{ n }} {{ f }} {{ t }} {{ z }} {{ l }} {{ d }} {{ 'a\'b' }} {{ ["q'", 'r"', "\n"] }} {{ undefined_name }}|
{{ 1 + 2 * 3 - 4 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ -2 ** 2 }} {{ 4 / 2 }} {{ 1e3 }} {{ 1_000 }} {{ 0x1f }} {{ 3.0 * 2 }} {{ 1.5e-7 }} {{ 7.5 // 2 }} {{ 7.5 % 2 }} {{ 1e22 }} {{ 1e16 }} {{ 0.1 + 0.2 }}
{{ 'a' ~ 1 ~ none ~ 2.0 ~ true }} {{ 'ab' * 3 }} {{ [1] + [2] }} {{ [0] * 2 }} {{ true + 1 }}
{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 1 == 1.0 }} {{ 'a' == 'a' }} {{ [1,2] == [1,2] }} {{ 'a' != 'b' }} {{ 'a' < 'b' }} {{ 2 >= 2 }} {{ not 1 == 2 }} {{ {'a': 1} == {'a': 1.0} }} {{ none == false }} {{ true == 1 }}
{{ 'ell' in s }} {{ 3 in l }} {{ 'a' in d }} {{ 'z' not in d }} {{ 4 not in l }}
{{ n and 0 }} {{ n or 0 }} {{ '' or 'x' }} {{ none and 1 }} {{ not e }} {{ 'y' if n > 5 else 'n' }} {{ 'y' if n < 5 }}|
{{ l[0] }} {{ l[-1] }} {{ l[1:] }} {{ l[:1] }} {{ l[::-1] }} {{ s[1:6] }} {{ u[0] }} {{ u[::-1] }} {{ d.a }} {{ d['b'][1] }} {{ d.missing }}|{{ l[9] }}|{{ (1, 'a') }} {{ (1,) }} {{ () }} {{ l[-9:2] }}
{{ s | trim }}|{{ s | upper }}|{{ s | lower }}|{{ s | capitalize }}|{{ s | title }}|{{ s | length }}|{{ s | replace('o', '0') }}|{{ s | replace('o', '0', 1) }}|{{ u | upper }}|{{ u | length }}
{{ s.strip() }}|{{ s.lstrip() }}|{{ s.rstrip() }}|{{ s.upper() }}|{{ s.lower() }}|{{ s.split() }}|{{ s.split('o') }}|{{ s.split('o', 1) }}|{{ s.rsplit('o', 1) }}|{{ 'xaxx'.strip('x') }}|{{ s.replace('l', 'L') }}|{{ s.title() }}|{{ s.capitalize() }}|{{ s.find('w') }}|{{ s.count('l') }}|{{ '-'.join(w) }}|{{ 'a\nb'.splitlines() }}|{{ '12'.isdigit() }}|{{ 'ab'.startswith('a') }}|{{ 'ab'.endswith(('x', 'b')) }}|{{ 'pre-x'.removeprefix('pre-') }}
{{ l | sort }} {{ l | sort(reverse=true) }} {{ w | sort }} {{ items | sort(attribute='v') | map(attribute='k') | join }} {{ l | reverse | list }} {{ l | first }} {{ l | last }} {{ l | sum }} {{ l | min }} {{ l | max }} {{ l | join('-') }} {{ items | map(attribute='k') | unique | join(',') }} {{ e | first }}|
{{ items | selectattr('on') | map(attribute='v') | list }} {{ items | rejectattr('on') | list | length }} {{ items | selectattr('k', 'equalto', 'x') | list | length }} {{ items | selectattr('v', 'gt', 1) | map(attribute='v') | list }} {{ l | select('odd') | list }} {{ l | reject('odd') | list }} {{ [0, 1, ''] | select | list }} {{ w | map('upper') | list }}
{{ missing | default('d') }} {{ '' | default('d') }} {{ '' | default('d', true) }} {{ z | default('d') }} {{ missing | d }}|{{ '3' | int + 1 }} {{ 'x' | int }} {{ '2.5' | float }} {{ 3.7 | int }} {{ 2.567 | round(1) }} {{ 2.5 | round }} {{ n | string ~ 'x' }} {{ -3 | abs }} {{ 'a b c' | wordcount }} {{ 'abc' | list }} {{ 'x' | safe }} {{ '<a>' | e }}
{{ d | tojson }} {{ items | tojson }} {{ u | tojson }} {{ [1, 2.0, none, true, "a\"b</script>"] | tojson }} {{ {'b': 1, 'a': {}} | tojson(indent=2) }} {{ d | dictsort }} {{ d | items | list }} {{ d.items() | list }} {{ d.keys() | list }} {{ d.values() | list }} {{ d.get('a') }} {{ d.get('q') }} {{ d.get('q', 5) }} {{ d | length }}
{% for x in l %}{{ loop.index }}:{{ loop.index0 }}:{{ loop.revindex }}:{{ loop.revindex0 }}:{{ loop.first }}:{{ loop.last }}:{{ loop.length }}:{{ x }};{% endfor %}{% for x in e %}x{% else %}none{% endfor %}
{% for x in l if x > 1 %}{{ loop.index }}{{ x }}{% if not loop.last %}, {% endif %}{% endfor %} {% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %} {% for k in d %}{{ k }}{% endfor %} {% for c in 'ab' %}[{{ c }}]{% endfor %} {% for i in range(3) %}{{ i }}{% endfor %}{% for i in range(5, 1, -2) %}{{ i }}{% endfor %}
{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %} {% for x in l %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %} {% for x in l %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }} {% endfor %}{% for x in w %}{{ loop.cycle('a', 'b') }}{% endfor %}
{% set a = 1 %}{% for x in l %}{% set a = x %}{{ a }}{% endfor %}{{ a }} {% set ns = namespace(a=1) %}{% for x in l %}{% set ns.a = ns.a + x %}{% endfor %}{{ ns.a }} {% if t %}{% set a = 5 %}{% endif %}{{ a }} {% set b %}block {{ a }}{% endset %}{{ b | upper }} {% set p, q = 1, 2 %}{{ p + q }}
{% macro m(a, b='B', c=none) %}[{{ a }}{{ b }}{{ c }}]{% endmacro %}{{ m(1) }}{{ m(1, 2) }}{{ m(a=3, c=4) }} {{ m('x') | lower }} {{ m() }}
{{ n is defined }} {{ q is defined }} {{ q is undefined }} {{ s is string }} {{ n is number }} {{ n is integer }} {{ f is float }} {{ t is boolean }} {{ d is mapping }} {{ l is iterable }} {{ l is sequence }} {{ s is iterable }} {{ z is none }} {{ n is not none }} {{ n is odd }} {{ n is even }} {{ n is divisibleby 7 }} {{ n is eq 7 }} {{ n is in [7] }} {{ t is true }} {{ t is sameas true }} {{ 'a' is lower }} {{ n is divisibleby(3) }} {{ not n is odd }} {{ n is gt 3 }}
{% if n > 10 %}big{% elif n > 5 %}mid{% else %}small{% endif %} {% raw %}{{ raw }} {% endraw %}{# comment #}end
  {% if t %}
    indented {{ n }}
  {% endif %}
last   {%- if t %}   x   {%- endif -%}   y  {{- n -}}   z {%+ if t %} k {% endif +%} m
{% set x = dict(a=1, b=2) %}{{ x.a }} {{ namespace(q=3).q }} {{ [1, [2, 3]][1][0] }} {{ {'a': {'b': 'c'}}.a.b }} {{ ('a' ~ 'b') | upper }} {{ (l | length) + 1 }} {{ l|length > 2 and n is odd }} {{ "x" if e else "y" if n == 8 else "w" }}
{{ 'line1\nline2' | indent(2) }} {{ 'a\tb' }} {{ 'caf\u00e9' }} {{ "%s-%d" | format('a', 3) }} {{ "%.2f" % f }} {{ "%s %s" % (1, 'b') }}
{% generation %}g{{ n }}{% endgeneration %} {% filter upper %}abc{% endfilter %} {% with y = 3 %}{{ y }}{% endwith %}{{ y }}|{% call(v) wrap() %}c{{ v }}{% endcall %}
{{ raise_exception('told so') }}
{{ q.a }}
{{ n.x.y }}
{{ 1 + 'a' }}
{{ l | nosuchfilter }}
{{ s is nosuchtest }}
{{ q() }}
{% for x in n %}{% endfor %}
{{ 1 / 0 }}
{% if %}x{% endif %}
{% for x in l %}
{{ 'unclosed
{{ n }
{% endif %}
{% nosuchtag %}
{{ d['a']['b']['c'] }}
{{ l.append(4) }}
{{ s.__class__ }}
""".strip("\n").split("\n")
# The indented snippet spans lines; put it together again.
i = SNIPPETS.index("  {% if t %}")
SNIPPETS[i:i + 4] = ["\n".join(SNIPPETS[i:i + 4])]
SNIPPETS += ["a\n{% set x = 1 %}\n  {# c #}\nb\n", "x\r\ny\n\n", "{% if t %}\n\n a\n{% endif %}\n b", "a {% if t %}b{% endif %} c  \n  {% if t %} d\n  {%- endif %}\n"]


def attempt(f):
    try:
        return {"out": f()}
    except Exception as e:
        return {"error": type(e).__name__ + ": " + str(e)}


def main():
    cases = []
    for name, src in TEMPLATES.items():
        for chat in CHATS:
            for extra in ({}, {"add_generation_prompt": True, "bos_token": "<s>", "add_vision_id": True}, {"tools": TOOL, "bos_token": "<s>", "date_string": "1 Jan 2026"}):
                if extra.get("tools") and name != "tools":
                    continue
                vars = {"messages": chat, "add_generation_prompt": False, "tools": None, **extra}
                cases.append({"template": name, "vars": vars, **attempt(lambda: _compile_jinja_template(src).render(**vars))})
    snippets = [{"src": s, **attempt(lambda: _compile_jinja_template(s).render(**X))} for s in SNIPPETS]
    with open(os.path.join(HERE, "golden.json"), "w", encoding="utf-8") as f:
        json.dump({"transformers": transformers.__version__, "jinja2": jinja2.__version__, "templates": TEMPLATES, "cases": cases,
                   "vars": X, "snippets": snippets}, f, ensure_ascii=False, indent=0)


main()
