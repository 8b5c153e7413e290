// Package jinja renders the chat templates of checkpoints as transformers' apply_chat_template does:
// the Jinja2 language in the sandbox and with the settings that transformers gives it (trim_blocks,
// lstrip_blocks, loop controls, the generation block, raise_exception, its own tojson).
//
// It knows the expressions, statements, filters, tests and methods that published chat templates use;
// on anything else it fails with the line and column. It does not read files: a template comes from
// chat_template.jinja, chat_template.json, tokenizer_config.json or processor_config.json, and finding it
// is Find's work. It knows nothing of models or tokens, imports no other template and
// has no clock: strftime_now is what the caller passes as a variable, if anything.
//
// No Go library was good enough: of the renderings in testdata gonja v2.9.1 gets 37 of 78 right, none of LLaVA's (it has
// no generation block), and 20 of 46 snippets.
package jinja
