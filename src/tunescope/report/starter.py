"""The commented study that `tunescope init` writes."""

STARTER = """\
# A tunescope study. Check it with `tunescope check {path}`, see what it will cost with `tunescope plan {path}`,
# and run it with `tunescope run {path}`. Every key not written here has a default; unknown keys are refused.
name: {name}
question: Is LoRA as good as full fine-tuning for my tasks?

base_model:
  name: tunescope/demo-llama       # a hub id, or a local folder such as ./my-model; this one comes with tunescope
  # revision: 4f1c2a9              # pin a hub model, or the same study may read other weights next month

tasks:                             # `tunescope list tasks` shows those that are known by name
  - demo_sentiment
  # - {{name: mrpc, max_train: 1000, max_length: 128}}        # a known task, with some fields changed
  # - name: mine                                            # your own rows: CSV, TSV, JSON lines or Parquet
  #   kind: classification                                  # or regression, question_answering
  #   dataset: {{files: {{train: data/train.csv, validation: data/dev.csv}}}}
  #   text: review                                          # columns
  #   label: stars
  #   labels: [bad, good]                                   # in the order of their ids
  #   prompt: "{{review}}\\nGood or bad?"                     # what a decoder reads
  #   metrics: [accuracy, macro_f1]                         # the first one selects; `tunescope list metrics`

methods:                           # `tunescope list methods`
  full: {{learning_rate: 5e-4}}
  lora: {{rank: 8, alpha: 16, target_modules: [q_proj, v_proj], learning_rate: 2e-3}}
  head_only: {{learning_rate: 5e-3}}
  # ia3: {{type: peft, config_class: IA3Config, config: {{target_modules: [k_proj], feedforward_modules: []}}, learning_rate: 1e-2}}

seeds: [13, 21, 42]

training:                          # for every method; a method may set its own above, `overrides` narrows it to cells
  batch_size: 32
  epochs: 3
  warmup_share: 0.06
  # evaluate_every: epoch          # scores the selection rows, which are carved out of train
  # early_stopping_patience: 2
  # precision: bf16                # autocast over fp32 weights

baselines: [majority, random, reference, zero_shot]
"""
