#!/bin/sh
# Matrix products of kernels/cpu beside OpenBLAS (numpy) and oneDNN (torch) on this machine, in one run: several rounds in
# turn, the best of each, since other work disturbs single ones. One thread is measured in processor time, more by the
# clock. Peak is fused multiply-adds on registers alone.
#
#	PYTHON=/path/to/python bench/gemm.sh [threads] [rounds]
#
# The python needs numpy and torch; without them only the Go side is measured.
set -eu
threads=${1:-2}
rounds=${2:-4}
python=${PYTHON:-python3}
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset OPENBLAS_CORETYPE
export OMP_NUM_THREADS="$threads" OPENBLAS_NUM_THREADS="$threads" MKL_NUM_THREADS="$threads" GOMAXPROCS="$threads"
go test -c -o "$work/cpu.test" ./kernels/cpu
i=0
while [ $i -lt "$rounds" ]; do
	"$work/cpu.test" -test.run '^$' -test.bench "^(BenchmarkGemm|BenchmarkGemv|BenchmarkRead|BenchmarkPeak)\$" -test.benchtime 20ms -test.count 3 >>"$work/go.txt"
	"$python" bench/gemm.py measure "$work/go.txt" >>"$work/peers.txt" || echo "bench: no numpy or torch in $python" >&2
	i=$((i + 1))
done
"$python" bench/gemm.py table "$work/go.txt" "$work/peers.txt"
