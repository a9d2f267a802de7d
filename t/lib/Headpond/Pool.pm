# SPDX-License-Identifier: Apache-2.0
# A pool of nodes on this host, in one region or several, with distance and trouble between them.
#
#     my $pool = Headpond::Pool->start(regions => { west => 3, east => 2 }, origin => $origin, relays => 1);
#     my $got = $pool->client('blocks', blobs => $blobs, once => [], concurrency => 100);    # spread over all nodes
#     $pool->cut('east-1');
#     is($pool->node('west-1')->get('/acct/data/x')->{status}, 200, 'who is left serves');
#     $pool->stop;
#
# Nodes are Headpond objects, named after their regions: west-1, west-2 and so on; a sidecar is west-side-1. They keep
# their addresses when they are started again, and each knows the others' by its configuration.
#
# Where there are relays, each node reaches each other one over a pair of the relay's own. So a node that is cut off
# hears nobody and is heard by nobody in the pool, while its clients and the origin notice nothing.
package Headpond::Pool;
use strict;
use warnings;
use File::Path ();
use Headpond;
use Headpond::PoolCa;
use Headpond::Relay;
use IO::Socket::INET;
use IO::Socket::UNIX;
use Test::More;

my @guards; # of ports
my $next_port = 10_000 + $$ * 61 % 20_000;

# An address that stays free while its owner is down: of a port below those that the system gives to whoever asks for
# any. A name that goes away with this program holds it against other tests.
sub reserve_address {
    for (1 .. 20_000) {
        my $port = $next_port++;
        $next_port = 10_000 if $next_port == 30_000;
        my $guard = IO::Socket::UNIX->new(Local => "\0headpond-test-port-$port", Listen => 1) or next;
        IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Proto => 'tcp', ReuseAddr => 1) or next;
        push @guards, $guard;
        return "127.0.0.1:$port";
    }
    die 'no port is free';
}

# ---- The start. ----

# regions => how many members in each; sidecars => how many clients in each (none), and sidecars_know => how many members
# of a region their configurations name (all). origin, account, env: as for Headpond. config: too, or code that gives it
# for a node's name; what it has in `pool` replaces single keys, which undef leaves out. delay_ms: one way, between
# regions. relays => 1: between all nodes, else only between regions that have a delay. store_size: of each (256MiB).
# name: the pool's (main). ca: a Headpond::PoolCa (a new one). absent => [nodes] that all know of, and that are not there
# until somebody (re)starts them.
sub start {
    my ($class, %self) = @_;
    my $self = $class->new(%self);
    my %absent = map { $_ => 1 } @{ $self{absent} // [] };
    $_->run for grep { !$absent{ $_->{name} } } $self->nodes, $self->sidecars;
    $self->wait_known;
    return $self;
}

# The same, with nothing but the relay running.
sub new {
    my ($class, %self) = @_;
    $self{name} //= 'main';
    $self{ca} //= Headpond::PoolCa->new;
    my $self = bless { %self, places => {}, members => [], clients => [] }, $class;
    for my $region (sort keys %{ $self{regions} }) {
        $self->add_place($region, 'member', "$region-$_") for 1 .. $self{regions}{$region};
    }
    for my $region (sort keys %{ $self{sidecars} // {} }) {
        $self->add_place($region, 'client', "$region-side-$_") for 1 .. $self{sidecars}{$region};
    }
    $self->start_relay;
    $_->{node} = $self->new_node($_) for values %{ $self->{places} };
    return $self;
}

# All that is fixed of a node before anything runs.
sub add_place {
    my ($self, $region, $role, $name) = @_;
    my %place = (name => $name, region => $region, role => $role, routes => {});
    $place{$_} = reserve_address() for qw(http https admin peer);
    $place{files} = $self->{ca}->issue(pool => $self->{name}, region => $region, role => $role, node => $name);
    $self->{places}{$name} = \%place;
    push @{ $self->{"${role}s"} }, $name;
}

# A pair of the relay for each two nodes that need one; its number is in the route of who connects.
sub start_relay {
    my ($self) = @_;
    my (@pairs, @far);
    for my $from (@{ $self->{places} }{ @{ $self->{members} }, @{ $self->{clients} } }) {
        for my $to (@{ $self->{places} }{ @{ $self->{members} } }) {
            my $far = $from->{region} ne $to->{region};
            next if $from == $to || !$self->{relays} && !($far && $self->{delay_ms});
            $from->{routes}{ $to->{name} } = @pairs;
            push @far, scalar @pairs if $far;
            push @pairs, [reserve_address(), $to->{peer}];
        }
    }
    $self->{far} = \@far;
    return unless @pairs;
    $self->{relay} = Headpond::Relay->start(pairs => \@pairs);
    $self->delay($self->{delay_ms}) if $self->{delay_ms} && @far;
}

# As the place sees them: a row for each member of the region.
sub members_of {
    my ($self, $place, $region) = @_;
    my @found = grep { $_->{region} eq $region } @{ $self->{places} }{ @{ $self->{members} } };
    splice @found, $self->{sidecars_know} if $place->{role} eq 'client' && $self->{sidecars_know};
    return [map { "$_->{name}=" . $self->route($place->{name}, $_->{name}) } @found];
}

# Where a node finds another one, or itself.
sub route {
    my ($self, $from, $to) = @_;
    my $number = $self->place($from)->{routes}{ $self->place($to)->{name} };
    return defined $number ? $self->{relay}{addresses}[$number] : $self->place($to)->{peer};
}

sub new_node {
    my ($self, $place) = @_;
    my $dir = Headpond::folder();
    my %given = %{ (ref $self->{config} eq 'CODE' ? $self->{config}->($place->{name}) : $self->{config}) // {} };
    my %seen = map { $_->{region} => 1 } values %{ $self->{places} };
    my @others = map { { name => $_, members => $self->members_of($place, $_) } }
        grep { $_ ne $place->{region} && $self->{regions}{$_} } sort keys %seen;
    my %pool = (
        name => $self->{name}, node => $place->{name}, region => $place->{region}, role => $place->{role}, %{ $place->{files} },
        $place->{role} eq 'member' ? (address => $place->{peer}) : (),
        members => $self->members_of($place, $place->{region}), @others ? (regions => \@others) : (),
        %{ delete $given{pool} // {} });
    delete $pool{$_} for grep { !defined $pool{$_} } keys %pool;
    $place->{knows} = [$place->{region}, map { $_->{name} } @{ $pool{regions} // [] }];
    return Headpond->new(
        name => $place->{name}, dir => $dir, origin => $self->{origin}, account => $self->{account}, env => $self->{env},
        config => {
            listen => [{ address => $place->{http} }, { address => $place->{https}, %Headpond::tls }],
            admin => $place->{admin}, store => [{ path => "$dir/store", size => $self->{store_size} // '256MiB' }],
            pool => \%pool, %given,
        });
}

# ---- Who is there. A node is said by its name or is the object itself. ----

sub place {
    my ($self, $node) = @_;
    my $name = ref $node ? $node->{name} : $node;
    return $self->{places}{$name} // die "no node $name in the pool";
}

sub node { my ($self, $node) = @_; return $self->place($node)->{node} }
sub peer_address { my ($self, $node) = @_; return $self->place($node)->{peer} }

# The members, of all regions or of some.
sub nodes {
    my ($self, @regions) = @_;
    my %wanted = map { $_ => 1 } @regions ? @regions : keys %{ $self->{regions} };
    return map { $_->{node} } grep { $wanted{ $_->{region} } } @{ $self->{places} }{ @{ $self->{members} } };
}

sub sidecars { my ($self) = @_; return map { $self->node($_) } @{ $self->{clients} } }

# Until these (all that run) know who is in the pool, in the regions that they are told of: whoever does not would do as if
# it were alone.
sub wait_known {
    my ($self, @nodes) = @_;
    for my $node (@nodes ? @nodes : $self->running) {
        $node->wait_metric($self->{regions}{$_}, 'headpond_pool_members', region => $_) for @{ $self->place($node)->{knows} };
    }
}

sub running { my ($self) = @_; return grep { $_->{process} && $_->{process}->alive } $self->nodes, $self->sidecars }

# ---- Trouble. ----

# SIGKILL.
sub kill { my ($self, $node) = @_; return $self->node($node)->stop_now }

# The same, and its disk is gone.
sub lose {
    my ($self, $node) = @_;
    $self->kill($node);
    my $store = $self->node($node)->{dir} . '/store';
    File::Path::remove_tree($store);
    mkdir $store or die "$store: $!";
}

# On its store and at its addresses; one that runs is asked to end first, in order.
sub restart {
    my ($self, $node) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    $node = $self->node($node);
    $node->stop if $node->{process} && $node->{process}->alive;
    $node->{stopped} = 0;
    $node->run;
    $self->wait_known($node);
    return $node;
}

# The relay's pairs between these (nodes, or regions by their names) on one side, and all others on the other side.
sub pairs_around {
    my ($self, @what) = @_;
    my %inside;
    for my $what (@what) {
        my @names = ref $what || !$self->{regions}{$what} ? $self->place($what)->{name}
            : map { $_->{name} } grep { $_->{region} eq $what } values %{ $self->{places} };
        $inside{$_} = 1 for @names;
    }
    my @pairs;
    for my $from (values %{ $self->{places} }) {
        push @pairs, map { $from->{routes}{$_} } grep { !$inside{$_} != !$inside{ $from->{name} } } keys %{ $from->{routes} };
    }
    die "no relay around @what" unless @pairs;
    return sort { $a <=> $b } @pairs;
}

# Cut off from the rest of the pool (a black hole), and back. What joins does so with all others.
sub cut { my ($self, @what) = @_; return $self->{relay}->cut($self->pairs_around(@what)) }
sub join { my ($self, @what) = @_; return $self->{relay}->join($self->pairs_around(@what)) }
# Connections to and from the rest are reset, and refused from then on.
sub reset { my ($self, @what) = @_; return $self->{relay}->reset($self->pairs_around(@what)) }
# How far regions are from each other, one way.
sub delay { my ($self, $ms) = @_; return $self->{relay}->delay($ms, @{ $self->{far} }) }

# All bytes, both ways, that have come over connections between regions.
sub crossed {
    my ($self) = @_;
    my $sum = 0;
    $sum += $_->{to_target} + $_->{to_client} for @{ $self->{relay}->stats->{pairs} }[@{ $self->{far} }];
    return $sum;
}

# ---- Clients. ----

# blob-client, its clients spread over these `nodes` (all members), the rest as for Headpond's. `bases` in its report
# has one for each. fail_over => []: who cannot connect asks the next.
sub start_client {
    my ($self, $mode, %o) = @_;
    my $container = delete $o{container} // 'acct/data';
    my $among = delete $o{nodes};
    my @nodes = $among ? map { $self->node($_) } @$among : $self->nodes;
    my $proto = $o{proto} // 'h1';
    return $nodes[0]->start_client($mode, %o, base => [map { $_->url($proto, "/$container") } @nodes]);
}

sub client {
    my ($self, $mode, %o) = @_;
    return $self->start_client($mode, %o)->finish;
}

# ---- Metrics. ----

# As Headpond's `metric`, of all that run together.
sub metrics {
    my ($self, $name, %labels) = @_;
    my $sum = 0;
    $sum += $_->metric($name, %labels) for $self->running;
    return $sum;
}

# How often these have asked those, of which that was the result (any).
sub asked {
    my ($self, $from, $to, $result) = @_;
    my $sum = 0;
    for my $asker (map { $self->node($_) } @$from) {
        $sum += $asker->metric('headpond_peer_requests_total', peer => "$_->{region}/$_->{name}", $result ? (result => $result) : ())
            for map { $self->place($_) } @$to;
    }
    return $sum;
}

# As Headpond's `wait_metric`, for that sum.
sub wait_metrics {
    my ($self, $want, $name, %labels) = @_;
    return Headpond::Process::wait_value($want, "$name over the pool", sub { $self->metrics($name, %labels) });
}

# Until no fill is under way anywhere and all has reached its store.
sub settle { my ($self) = @_; return !grep { !$_->settle } $self->running }

# ---- The end. ----

# One after the other: exit code 0 and clean logs; of those killed, clean logs. One that has ended by itself is found
# out.
sub stop {
    my ($self) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    $self->{relay}->join if $self->{relay};
    for my $node (grep { $_->{process} } $self->nodes, $self->sidecars) {
        $node->{stopped} ? $node->check_logs : $node->stop;
    }
    is($self->{relay}->stop, 0, 'the relay ends') if $self->{relay};
}

1;
