#!/bin/sh
# What netdata tells of the host it runs on. Stands in for netdata's own script of this name, which starts some fifty programs (lscpu, lsblk,
# systemctl, a question to the cloud's metadata address) before the first chart is there.
set -eu
. /etc/os-release
read -r _ _ kernel _ < /proc/version
while read -r key value _; do
  [ "$key" != MemTotal: ] || break
done < /proc/meminfo
cat <<END
NETDATA_CONTAINER_OS_NAME=$NAME
NETDATA_CONTAINER_OS_ID=$ID
NETDATA_CONTAINER_OS_VERSION=${VERSION:-unknown}
NETDATA_CONTAINER_OS_VERSION_ID=${VERSION_ID:-unknown}
NETDATA_CONTAINER_OS_DETECTION=/etc/os-release
NETDATA_HOST_IS_K8S_NODE=false
NETDATA_SYSTEM_KERNEL_NAME=Linux
NETDATA_SYSTEM_KERNEL_VERSION=$kernel
NETDATA_SYSTEM_ARCHITECTURE=$(uname -m)
NETDATA_SYSTEM_VIRTUALIZATION=none
NETDATA_SYSTEM_CONTAINER=docker
NETDATA_SYSTEM_CONTAINER_DETECTION=dockerenv
NETDATA_SYSTEM_CPU_LOGICAL_CPU_COUNT=$(grep -c ^processor /proc/cpuinfo)
NETDATA_SYSTEM_TOTAL_RAM=$((value * 1024))
NETDATA_SYSTEM_RAM_DETECTION=procfs
END
