# SPDX-License-Identifier: Apache-2.0
# Bearer tokens, which SDKs send over TLS only: the Python SDK and the npm package read with one through headpond's TLS
# listener, before an origin that speaks TLS too. Azurite judges a token by its claims and refuses with 403; the scripted
# origin refuses as Azure does, with 401 and a challenge.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Digest::SHA qw(sha256_hex);
use Headpond;
use Headpond::Azurite;
use JSON::PP ();
use MIME::Base64 qw(encode_base64url);
use Test::More;

plan skip_all => 'the Blob service is not installed; contrib/check installs it' unless Headpond::Azurite::installed();

my $ACCOUNT = $Headpond::Azurite::account;
my $SIZE = (9 << 20) + 7;
my $TENANT = '00000000-0000-0000-0000-000000000000';
my $ca = $Headpond::tls{certificate};

my %clients = (python => { command => ['/usr/bin/python3', "$Headpond::source/t/clients/token_read.py"], env => { REQUESTS_CA_BUNDLE => $ca } },
    npm => { command => [Headpond::Azurite::node(), "$Headpond::source/t/clients/token_read.js"],
        env => { NODE_PATH => Headpond::Azurite::modules(), NODE_EXTRA_CA_CERTS => $ca } });
if (system("/usr/bin/python3 -c 'import azure.storage.blob' 2>/dev/null")) {
    delete $clients{python};
    diag('python3-azure-storage is not installed');
}

# What the client printed, a line each.
sub client_reads {
    my ($client, $pond, $account, $blob, $token) = @_;
    my $c = $clients{$client};
    my ($status, $out, $errors) = Headpond::Process->run(env => $c->{env},
        command => [@{ $c->{command} }, "https://$pond->{https}/$account", 'data', $blob, $token]);
    is($status, 0, "$client came to its end") or diag("$out$errors");
    return [split /\n/, $out];
}

# A token as Entra ID makes them; nobody looks at its signature. lives => seconds.
my $tokens = 0;
sub token {
    my (%o) = @_;
    my %claims = (aud => 'https://storage.azure.com', iss => "https://sts.windows.net/$TENANT/", iat => time - 7200, nbf => time - 7200,
        exp => time + ($o{lives} // 3600), oid => 'reader-' . $tokens++);
    my $token = join '.', map { encode_base64url($_) } '{"alg":"RS256","typ":"JWT"}', JSON::PP->new->canonical->encode(\%claims), 'no signature';
    push @Headpond::Origin::secrets, $token;
    return $token;
}

sub start_pond {
    my ($name, $address, @ca) = @_;
    return Headpond->start(config => { accounts => [{ name => $name, origin => "https://$address/$name", freshness => '3600s',
        authorize_ttl => '3600s', @ca }] });
}

sub bearer { my ($token) = @_; return headers => ["Authorization: Bearer $token", 'x-ms-version: 2021-08-06'] }

subtest 'Azurite' => sub {
    my $azurite = Headpond::Azurite->start(tls => 1);
    my $pond = start_pond($ACCOUNT, $azurite->{address}, origin_ca => $ca);
    my $writer = token();
    my %data;
    my $put = sub {
        my ($path, $body, @more) = @_;
        my %r = bearer($writer);
        is($pond->put("/$ACCOUNT/data$path", proto => 'h1s', body => $body, headers => [@{ $r{headers} }, @more])->{status}, 201, "put $path");
    };
    $put->('?restype=container', '');
    for my $client (sort keys %clients) {
        $data{$client} = substr pack('N*', map { int rand 2**32 } 0 .. $SIZE / 4), 0, $SIZE;
        $put->("/$client", $data{$client}, 'x-ms-blob-type: BlockBlob');
    }

    for my $client (sort keys %clients) {
        my $token = token();
        my $hits = sub { $pond->metric('headpond_requests_total', method => 'GET', cache => 'hit') };
        my $read = 'read ' . sha256_hex($data{$client});
        my %asked;
        for my $when (qw(cold warm)) {
            my ($hit, @before) = ($hits->(), $azurite->reads);
            is_deeply(client_reads($client, $pond, $ACCOUNT, $client, $token), [$read], "$when: the same bytes");
            $pond->settle;
            my @after = $azurite->reads;
            $asked{$when} = [map { $after[$_] - $before[$_] } 0, 1];
            note("$client, $when: reads at the origin: $asked{$when}[0], with data: $asked{$when}[1]");
            cmp_ok($hits->(), '>', $hit, 'warm: hits') if $when eq 'warm';
        }
        cmp_ok($asked{cold}[1], '>', 0, 'cold: data came from the origin');
        is($asked{warm}[0], 0, 'warm: the origin was not asked');
        my ($hit, @before) = ($hits->(), $azurite->reads);
        is_deeply(client_reads($client, $pond, $ACCOUNT, $client, token(lives => -60)), ['refused 403 AuthenticationFailed'], 'expired: refused');
        is_deeply(client_reads($client, $pond, $ACCOUNT, $client, 'NoToKeNaTaLl.x.y'), ['refused 403 AuthenticationFailed'], 'malformed: refused');
        is($hits->(), $hit, 'by no hit');
        is(($azurite->reads)[0], $before[0] + 2, 'the origin was asked both times');
        is_deeply(client_reads($client, $pond, $ACCOUNT, $client, $token), [$read], 'the good one reads on');
    }

    subtest 'a remembered yes ends with its token' => sub {
        my %r = (proto => 'h2s', bearer(token(lives => 5)));
        my @before = $azurite->reads;
        is($pond->get("/$ACCOUNT/data/npm", %r)->{status}, 200, 'read');
        is(($azurite->reads)[0], $before[0] + 1, 'the origin said yes');
        like($pond->get("/$ACCOUNT/data/npm", %r)->{headers}{'cache-status'}, qr/; hit/, 'which is remembered');
        my $reply;
        ok(Headpond::Process::wait_until(sub { ($reply = $pond->get("/$ACCOUNT/data/npm", %r))->{status} == 403 }, 10), 'then refused');
        is($reply->{headers}{'x-ms-error-code'}, 'AuthenticationFailed', 'by the origin');
        ok($reply->{body} =~ /The token is expired/, 'in its words');
        unlike($reply->{headers}{'cache-status'} // '', qr/; hit/, 'by no hit');
    };
    $pond->stop;

    subtest 'an origin whose CA is not known' => sub {
        my $wary = start_pond($ACCOUNT, $azurite->{address});
        my $reply = $wary->get("/$ACCOUNT/data/npm", proto => 'h1s', bearer(token()));
        is($reply->{status}, 503, 'is not read from');
        $wary->stop;
    };
    $azurite->stop;
};

subtest 'Azure\'s own refusal' => sub {
    my $origin = Headpond::Origin->start(tls => 1);
    $origin->account('acct', challenge => 1);
    $origin->container('acct/data');
    $origin->blob('/acct/data/x', size => $SIZE, seed => 1);
    my $data = $origin->bytes('/acct/data/x', undef, $origin->sas('/acct/data'));
    my $pond = start_pond('acct', $origin->{tls_address}, origin_ca => $ca);
    my ($good) = $origin->bearer('/acct/data') =~ /Bearer (\S+)/;
    my ($bad) = $origin->bearer('/acct/data', unknown => 1) =~ /Bearer (\S+)/;
    for my $client (sort keys %clients) {
        is_deeply(client_reads($client, $pond, 'acct', 'x', $good), ['read ' . sha256_hex($data)], 'the same bytes');
        $pond->settle;
        is_deeply(client_reads($client, $pond, 'acct', 'x', $bad), ["challenge $TENANT", 'refused 401 InvalidAuthenticationInfo'],
            "$client understands the challenge and is refused");
    }
    my ($direct, $reply) = (Headpond::Http::request(url => "https://$origin->{tls_address}/acct/data/x", proto => 'h1s', bearer($bad)),
        $pond->get('/acct/data/x', proto => 'h2s', bearer($bad)));
    is($reply->{$_}, $direct->{$_}, "the origin's $_") for 'status';
    is($reply->{headers}{$_}, $direct->{headers}{$_}, "the origin's $_") for qw(www-authenticate x-ms-error-code content-type);
    ok($direct->{headers}{'www-authenticate'}, 'there is a challenge');
    unlike($reply->{headers}{'cache-status'} // '', qr/; hit/, 'by no hit');
    $pond->stop;
    $origin->stop;
};

done_testing();
