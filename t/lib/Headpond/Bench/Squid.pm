# SPDX-License-Identifier: Apache-2.0
# Squid for contrib/bench, in front of the origin. It caches whole blobs, here in memory, and cuts ranges out of them.
package Headpond::Bench::Squid;
use strict;
use warnings;
use Headpond::Bench::Server;
use Headpond::Bench::World;

sub start {
    my ($world) = @_;
    my $dir = $world->folder_in('squid');
    my %address = Headpond::Bench::Server::addresses(qw(h1 h1s));
    my ($host, $port) = split /:/, $world->{origin}{address};
    my $size = $Headpond::Bench::World::CACHE >> 20;
    if ($> == 0) { # then it becomes this user, whatever is asked
        my ($uid, $gid) = (getpwnam 'proxy')[2, 3];
        chown $uid, $gid, $dir;
    }
    Headpond::Process::spew("$dir/squid.conf", <<"CONF");
http_port $address{h1} accel defaultsite=origin no-vhost
https_port $address{h1s} accel defaultsite=origin no-vhost tls-cert=$Headpond::tls{certificate} tls-key=$Headpond::tls{key}
cache_peer $host parent $port 0 no-query no-digest no-netdb-exchange originserver
never_direct allow all
http_access allow all
# Without cache_dir all is in memory, the quickest it has; a blob must not be too large for that.
cache_mem $size MB
maximum_object_size 1 GB
maximum_object_size_in_memory 1 GB
# A range makes it fetch the whole blob; and what is here stays fresh.
range_offset_limit none
refresh_pattern . 1440 100% 1440 override-expire ignore-reload
# No log, and nothing beside the work.
access_log none
cache_store_log none
netdb_filename none
via off
client_idle_pconn_timeout 600 seconds
client_db off
shutdown_lifetime 0 seconds
cache_log $dir/cache.log
pid_filename $dir/squid.pid
coredump_dir $dir
CONF
    return Headpond::Bench::Server->start(name => 'squid', dir => $dir, address => \%address,
        cannot => { map { $_ => 'no HTTP/2' } qw(h2c h2s) }, command => ['squid', '-N', '-f', "$dir/squid.conf"]);
}

1;
