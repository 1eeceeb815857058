#!/usr/bin/env bash
# Follows docs/deploy.md over three network namespaces with a bridge between them: coordinator, server and user each
# see their own network alone, the server by IPv6 and IPv4, with 20 ms of delay each way where the kernel has netem. As
# root; exit 77 where the machine allows no namespaces. Usage: tools/three_hosts.sh [build/release/bin/dashf]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
dashf=$(realpath "${1:-build/release/bin/dashf}")
model=$PWD/share/models/debian-3m
net=dashf$$
{ ip netns add "${net}c" && ip netns del "${net}c"; } || { echo "skipped: no network namespaces here" >&2; exit 77; }
room=$(mktemp -d)
pids=()
end() {
    [ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
    for host in c s u; do ip netns del "$net$host" 2>/dev/null || true; done
    ip link del "${net:0:13}b" 2>/dev/null || true
    rm -rf "$room"
}
trap end EXIT

bridge=${net:0:13}b
ip link add "$bridge" type bridge
ip link set "$bridge" up
number=1
for host in c s u; do
    ip netns add "$net$host"
    ip link add "${net:0:12}$host" type veth peer name eth0 netns "$net$host"
    ip link set "${net:0:12}$host" master "$bridge" up
    on=(ip netns exec "$net$host")
    "${on[@]}" ip link set lo up
    "${on[@]}" ip address add "10.99.7.$number/24" dev eth0
    "${on[@]}" ip address add "fd99::$number/64" dev eth0 nodad
    "${on[@]}" ip link set eth0 up
    "${on[@]}" tc qdisc add dev eth0 root netem delay 20ms 2>/dev/null || echo "note: no netem here, so no delay" >&2
    number=$((number + 1))
done

cd "$room"
mkdir -p samples/u0 hosts
for name in train test; do
    for i in 1 2 3 4 5 6; do
        echo "{\"instruction\": \"Name section $i.\", \"input\": \"\", \"output\": \"libs\"}"
    done > samples/u0/$name.jsonl
done
"$dashf" profile --model "$model" --data samples/u0/train.jsonl --out profile.json
"$dashf" new --users 1 --servers 1 --profile profile.json --out scenario.json
"$dashf" kit init --rounds 1 --name demo --address 10.99.7.1:7440 --profile profile.json --scenario scenario.json --model "$model"
"$dashf" kit add server s0 --address '[fd99::2]:7443' --address 10.99.7.2:7443 --fleet demo
"$dashf" kit add user u0 --fleet demo
"$dashf" kit list --fleet demo
cp -a demo/coordinator demo/server-s0 demo/user-u0 hosts/
cp samples/u0/*.jsonl hosts/user-u0/

ip netns exec "${net}c" "$dashf" coordinator --config "$room/hosts/coordinator/node.json" & pids+=($!)
ip netns exec "${net}s" "$dashf" server --config "$room/hosts/server-s0/node.json" & pids+=($!)
ip netns exec "${net}u" "$dashf" user --config "$room/hosts/user-u0/node.json" & pids+=($!)
for pid in "${pids[@]}"; do wait "$pid"; done
pids=()
ls -l hosts/user-u0/adapter
grep -o '"state": "[a-z]*"' hosts/coordinator/round.json
echo "a round over three hosts is done"
