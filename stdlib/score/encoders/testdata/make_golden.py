"""Hidden states (and pooled tokens, but of DeBERTa) of tiny BERT, RoBERTa and DeBERTa encoders whose weights are drawn from an integer hash.
Reference: transformers 5.23.0, eager attention, float32, torch 2.15. Writes golden.json.
Run from this folder; stdlib/models/testdata/reference.py gives the weights."""
import json, os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../models/testdata"))
import torch
from transformers import BertConfig, BertModel, DebertaConfig, DebertaModel, RobertaConfig, RobertaModel
from reference import weight

CASES = {
    "bert": (BertConfig, BertModel, dict(vocab_size=31, hidden_size=20, num_attention_heads=5, intermediate_size=37, num_hidden_layers=3, max_position_embeddings=24, type_vocab_size=2)),
    "bert-tanh": (BertConfig, BertModel, dict(vocab_size=31, hidden_size=9, num_attention_heads=3, intermediate_size=7, num_hidden_layers=1, max_position_embeddings=24, type_vocab_size=3, hidden_act="gelu_new", layer_norm_eps=1e-5)),
    "roberta": (RobertaConfig, RobertaModel, dict(vocab_size=31, hidden_size=24, num_attention_heads=4, intermediate_size=50, num_hidden_layers=2, max_position_embeddings=26, type_vocab_size=1, pad_token_id=1, layer_norm_eps=1e-5)),
    # as microsoft/deberta-xlarge-mnli: both terms, no absolute positions, no segments
    "deberta": (DebertaConfig, DebertaModel, dict(vocab_size=31, hidden_size=24, num_attention_heads=4, intermediate_size=50, num_hidden_layers=3, max_position_embeddings=80,
                relative_attention=True, pos_att_type="c2p|p2c", max_relative_positions=-1, position_biased_input=False, type_vocab_size=0)),
    # distances beyond the table's reach, absolute positions and segments besides
    "deberta-near": (DebertaConfig, DebertaModel, dict(vocab_size=31, hidden_size=20, num_attention_heads=5, intermediate_size=37, num_hidden_layers=2, max_position_embeddings=80,
                     relative_attention=True, pos_att_type=["p2c", "c2p"], max_relative_positions=5, position_biased_input=True, type_vocab_size=2, layer_norm_eps=1e-5, hidden_act="gelu_new")),
    "deberta-c2p": (DebertaConfig, DebertaModel, dict(vocab_size=31, hidden_size=16, num_attention_heads=2, intermediate_size=20, num_hidden_layers=1, max_position_embeddings=80,
                    relative_attention=True, pos_att_type=["c2p"], position_biased_input=False, type_vocab_size=0)),
    "deberta-p2c": (DebertaConfig, DebertaModel, dict(vocab_size=31, hidden_size=16, num_attention_heads=2, intermediate_size=20, num_hidden_layers=1, max_position_embeddings=80,
                    relative_attention=True, pos_att_type=["p2c"], position_biased_input=False, type_vocab_size=0)),
    "deberta-plain": (DebertaConfig, DebertaModel, dict(vocab_size=31, hidden_size=16, num_attention_heads=2, intermediate_size=20, num_hidden_layers=1, max_position_embeddings=80, relative_attention=False)),
}
TEXTS = [[2, 5, 9, 30, 3], [2], [2] + [(i * 7) % 25 + 4 for i in range(20)] + [3], [2, 8, 8, 3]]
out = {}
for name, (C, M, kw) in CASES.items():
    deberta = C is DebertaConfig
    model = (M(C(**kw)) if deberta else M(C(**kw), add_pooling_layer=True)).eval()
    model.config._attn_implementation = "eager"
    for n, p in model.named_parameters():
        p.data.copy_(torch.from_numpy(weight(n, tuple(p.shape))))
    case = dict(config=dict(kw, model_type=model.config.model_type), texts=[], pooled=[], hidden=[])
    # 70 tokens are more than a block of the attention kernel
    for ids in TEXTS + ([[2] + [(i * 11) % 26 + 4 for i in range(68)] + [3]] if deberta else []):
        types = [(i % (kw.get("type_vocab_size") or 1)) for i in range(len(ids))]
        with torch.no_grad():
            o = model(input_ids=torch.tensor([ids]), token_type_ids=torch.tensor([types]), attention_mask=torch.ones(1, len(ids)), output_hidden_states=True)
        case["texts"].append(dict(ids=ids, types=types))
        if not deberta:
            case["pooled"].append([round(v, 6) for v in o.pooler_output[0].tolist()])
        # per layer: the last token's row
        case["hidden"].append([[round(v, 6) for v in h[0, -1].tolist()] for h in o.hidden_states])
    out[name] = case
json.dump(out, open("golden.json", "w"), separators=(",", ":"))
