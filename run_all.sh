#!/usr/bin/env bash
# The front door: sets up once, makes the runs of a suite that are missing, prints its tables.
#
#     ./run_all.sh [SUITE ...] [OPTION ...]        default: quick
#
#     SUITE                what it is                                                    needs
#     quick                glyphs, the embedded dataset: a first look, 5 minutes         nothing
#     methods              glyphs: every method, three seeds, an hour or two             nothing
#     ablations-glyphs     InvaSpread with one thing changed at a time, an hour          nothing
#     curves-glyphs        Recall@1 by epoch: InvaSpread, NPSoftmax, NCE, Exemplar       nothing
#     crops                birds and cars, cut out, from a pretrained EfficientNet-Lite  cub100_crops, cars196_crops
#     crops-methods        the main methods on them, one epoch each                      cub100_crops, cars196_crops
#     crops-methods-birds  one part of that                                              cub100_crops
#     crops-methods-cars   the other                                                     cars196_crops
#     cifar10-jpeg         two epochs of InvaSpread beside the paper's 60 %              cifar10_jpeg
#     ledger-glyphs        the ledger on glyphs: ablations, both forms, three seeds      nothing
#     ledger-cifar         the same on a tenth of CIFAR-10, two epochs, three seeds      cifar10_jpeg
#     ledger-curves        who learns faster: InvaSpread, NCE, Exemplar by epoch         cifar10_jpeg; hours
#     ledger-rates         the rates tried for NCE and NPSoftmax on letters              nothing
#     ledger-start         when does it help: batch norm, head, rate, labels, start      cub100_crops
#     ledger-crops         birds and cars: the main methods, two more seeds              cub100_crops, cars196_crops; hours
#     ledger-better        the project's own recipe against the released one             all three of those; hours
#     ablations            InvaSpread with one thing changed, at the paper's size        cifar10, cub200; an accelerator
#     curves               weighted kNN by epoch: InvaSpread, NCE, Exemplar              cifar10; an accelerator
#     foundation           frozen DINOv2, DINOv3 and CLIP: birds, cars, products         their weights; an accelerator
#     paper                every table of the paper: all that follow                     an accelerator, days
#     paper-cifar10        seen classes: CIFAR-10, weighted kNN                          dml-bench fetch cifar10
#     paper-stl10          seen classes: STL-10, linear and kNN                          dml-bench fetch stl10
#     paper-cub200         unseen classes: CUB-200-2011, Recall@K and NMI                dml-bench fetch cub200
#     paper-sop            unseen classes: Stanford Online Products                      dml-bench fetch sop
#     paper-cars196        unseen classes: Cars196                                       dml-bench fetch cars196
#     FILE.toml            your own
#
# Options are those of `dml-bench run`: --device, --data-root, --results, --seed, --set NAME=VALUE.
# Reads datasets/ and writes results/ of this repository; results/tables/ holds the tables.
# A second call makes nothing anew. The set-up is in .ci/environment.sh.

set -euo pipefail
case ${1:-} in
-h | --help)
    sed -n '2,/^$/s/^#\( \|$\)//p' "$0"
    exit
    ;;
'' | -*) set -- quick "$@" ;;
esac

# shellcheck source=.ci/environment.sh
. "$(dirname -- "$0")/.ci/environment.sh"
set_up all
if [ "$PWD" != "$ROOT" ]; then # called from elsewhere: your paths stay relative to there
    data=(--data-root "$ROOT/datasets") results=(--results "$ROOT/results")
    for word; do # what you say yourself, in short too, is not said again
        case $word in
        --da*) data=() ;;
        --res*) results=() ;;
        esac
    done
    set -- ${data[@]+"${data[@]}"} ${results[@]+"${results[@]}"} "$@"
fi
exec "$PYTHON" -m dml_bench run "$@"
